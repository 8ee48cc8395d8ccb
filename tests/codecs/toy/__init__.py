"""A method that is not part of the package: some real images a class, as they are."""
