param.set <- makeParamSet(
  makeIntegerParam("batch_size", lower = 5, upper = 10, trafo = function(x) 2L^x),
  makeNumericParam("lr", lower = -5, upper = -1, trafo = function(x) 10^x),
  makeNumericParam("cost", lower = -15, upper = 15, trafo = function(x) 2^x),
  makeNumericParam("decay", lower = -9, upper = 0, trafo = function(x) exp(x)),
  makeNumericParam("square", lower = -1, upper = 3, trafo = function(x) x^2)
)
