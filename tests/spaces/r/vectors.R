param.set <- makeParamSet(
  makeNumericVectorParam("s", len = 2L, lower = 0, upper = 1),
  makeNumericVectorParam("t", len = 3, lower = c(0, 1, 2), upper = c(1, 2, 30)),
  makeIntegerVectorParam("u", len = 2, lower = 1, upper = 3, trafo = function(x) 2^x),
  makeLogicalVectorParam("v", len = 2),
  makeDiscreteVectorParam("w", len = 2, values = c("a", "b", "c")),
  makeDiscreteVectorParam("n", len = 3, values = c(1, 2)),
  makeNumericVectorParam("x", len = 2, lower = -3, upper = 0, trafo = function(x) 10^x),
  makeNumericVectorParam("y", len = 3, lower = 1, upper = 2, trafo = function(x) x / sum(x)),
  makeNumericVectorParam("z", len = 2, lower = 1, upper = 2, trafo = function(x) c(x[1], x[2] * 10)),
  makeNumericVectorParam("named", len = 2, lower = 0, upper = 1, cnames = c("a", "b"))
)
