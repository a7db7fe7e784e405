"""The plan of a search, made from the input file; what earlier experiments found; how long it goes on."""
