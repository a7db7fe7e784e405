first <- makeParamSet(makeIntegerParam("a", 0, 1))
second <- makeParamSet(makeIntegerParam("b", 0, 1))
