TEXT = "a neighbour"
