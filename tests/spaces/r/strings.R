param.set <- makeParamSet(
  makeDiscreteParam("escapes", values = c("a\tb", "line\nbreak", "back\\slash", "quote\"d", 'it\'s', "\u00e9", "\x41\102")),
  makeDiscreteParam("raw", values = c(r"(C:\dir\file)", R"[x]")),
  makeDiscreteParam("blanks", values = c(" a ", "3 blind mice", "2020 01 05")),
  makeDiscreteParam("conv.size", values = c("50 50 50 50 50 1", "1.5 2e3", "-1 -2")),
  makeDiscreteParam("unicode", values = c("grün", "日本"))
)
