"""Speed and accuracy beside pylinac, on the same images. Not part of the platform: nothing imports it."""
