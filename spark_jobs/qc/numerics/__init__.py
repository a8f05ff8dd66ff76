"""Arrays and fits that several families use."""
