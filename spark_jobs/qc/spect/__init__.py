"""SPECT: centre of rotation, tomographic phantoms."""
