param.set = makeParamSet(
  makeDiscreteParam("mixed", values = list(a = 1, b = "x", c = TRUE)),
  makeDiscreteParam("vectors", values = list(small = c(1, 2), big = c(10, 20, 30), one = 5)),
  makeDiscreteParam("texts", values = list("p", "q")),
  makeDiscreteParam("named", values = c(first = "u", second = "v")),
  makeDiscreteParam("flags", values = c(yes = TRUE, no = FALSE)),
  makeDiscreteParam("coerced", values = c(1, "a", 100000, 0.1))
)
