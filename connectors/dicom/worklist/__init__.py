"""C-FIND: what a scanner is offered, and what holds it."""
