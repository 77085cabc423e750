"""The benchmark suite: jfewshot and its competitors on the same problem."""
