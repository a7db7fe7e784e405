param.set <- makeParamSet(
  makeNumericParam("a", 0, 1)
  makeNumericParam("b", 0, 1)
)
