pars <- list(
  makeNumericParam("a", 0, 1),
  makeNumericParam("b", 0, 1, requires = quote(a > 0.5))
)
param.set <- makeParamSet(params = pars)
