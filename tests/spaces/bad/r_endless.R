param.set <- makeParamSet(makeNumericParam("lr", 1e-05, 0.1))
