"""The same models on the same data by bmsem and by what a user would pick instead."""
