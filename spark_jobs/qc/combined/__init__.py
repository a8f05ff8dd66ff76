"""What looks at images of any family, or at two together."""
