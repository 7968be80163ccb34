"""``minigrad bench kernels``: instructions per MAC of whole layers, beside other libraries' and what is possible."""
