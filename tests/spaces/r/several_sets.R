other <- makeParamSet(makeNumericParam("not_me", 0, 1))
param.set <- makeParamSet(
  makeNumericParam("a", 0, 1),
  makeNumericParam("b", 0, 1)
)
