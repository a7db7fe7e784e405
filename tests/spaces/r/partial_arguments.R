param.set <- makeParamSet(
  makeNumericParam("a", low = 1, up = 2),
  makeDiscreteParam("b", val = c("x", "y"), def = "x"),
  makeIntegerParam("c", up = 9, 3),
  makeNumericParam("d", u = 2, l = 1, req = quote(b == "y")),
  makeIntegerParam("e", 1, 5, tra = function(x) x * 2)
)
