using Tessera.Benchmarks;

// Each benchmark prints one JSON line a measurement, so that a peer's lines can be laid beside them.
switch (args)
{
    case ["products"]: ProductBenchmark.Run(); break;
    default:
        Console.Error.WriteLine("usage: Tessera.Benchmarks products   (TESSERA_THREADS and TESSERA_KERNELS apply)");
        return 2;
}

return 0;
