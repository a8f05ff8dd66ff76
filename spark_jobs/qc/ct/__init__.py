"""CT of hybrid scanners: water, CatPhan, ACR."""
