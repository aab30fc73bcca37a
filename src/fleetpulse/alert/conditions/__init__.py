"""What rules find in facts at one moment: a module for each kind of rule, and `evaluate`, which calls them."""
