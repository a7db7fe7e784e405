param.set <- makeParamSet(
  makeDiscreteParam("a", values = c(1, 2, 3), trafo = function(x) x * 10),
  makeDiscreteParam("b", values = 1:4, trafo = function(x) 10^-x),
  makeDiscreteVectorParam("c", len = 2, values = c("p", "q"), default = list("p", "q"))
)
