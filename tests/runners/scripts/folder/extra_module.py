TEXT = "from a folder of supp_pythonpath"
