param.set <- makeParamSet(
  makeDiscreteParam("a", values = seq(0, 1, by = 0.1)),
  makeDiscreteParam("b", values = seq(2, 10, 2)),
  makeDiscreteParam("c", values = 1:5),
  makeDiscreteParam("d", values = 2^(3:7)),
  makeDiscreteParam("e", values = seq(0, 1, length.out = 4)),
  makeDiscreteParam("f", values = seq_len(3)),
  makeDiscreteParam("g", values = c(1:3, 10, seq(20, 40, by = 10))),
  makeDiscreteParam("h", values = 10^-(1:4)),
  makeDiscreteParam("i", values = rev(seq(5, 1))),
  makeDiscreteParam("j", values = -1:1),
  makeDiscreteParam("k", values = c(a = 1/3, b = 2*3-1, c = (1+2)*4, d = 7 %% 4, e = 9 %/% 2)),
  makeDiscreteParam("l", values = seq(1, 0, by = -0.25)),
  makeDiscreteParam("m", values = seq(0.1, 1, len = 10)),
  makeDiscreteParam("n", values = as.character(1:3))
)
