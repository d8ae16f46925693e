using System.Globalization;
using Tessera.Benchmarks;
using Tessera.Benchmarks.Fuzz;
using Tessera.Benchmarks.Kernels;
using Tessera.Benchmarks.Peers;
using Tessera.CSharp;
using Tessera.Tensors;

CSharpParts.Register();
try
{
    switch (args)
    {
        case ["peers", .. var options]: PeersCommand.Run(options); break;
        case ["llama-cpp", .. var folders]: return LlamaCppCommand.Run(folders);
        case ["llama-child", var file]: LlamaCppRows.RunChild(file); break;
        case ["kernels", .. var options]: KernelsCommand.Run(options); break;
        case ["training-step", var model, var precision, var steps]: TrainingStep.Run(model, precision, Number(steps)); break;
        case ["profile", .. var subject]: ProfileCommand.Run(subject); break;
        case ["profile-child", .. var subject]: ProfileCommand.RunChild(subject); break;
        case ["decode-step", var steps]: DecodeStep.Run(Number(steps)); break;
        case ["decode-step", var steps, var model]: DecodeStep.Run(Number(steps), model); break;
        case ["decode-step", var steps, var model, "f32" or "bf16" or "q8_0"]:
            DecodeStep.Run(Number(steps), model, Enum.Parse<ElementType>(args[3], ignoreCase: true));
            break;
        case ["score-bias"]: ScoreBiasBenchmark.Run("f32", 16384); break;
        case ["score-bias", "f32" or "bf16"]: ScoreBiasBenchmark.Run(args[1], 16384); break;
        case ["score-bias", "f32" or "bf16", var longest]: ScoreBiasBenchmark.Run(args[1], Number(longest)); break;
        case ["score-bias-case", var kind, var precision, var length]: ScoreBiasBenchmark.RunCase(kind, precision, Number(length)); break;
        case ["kill-resume", var program, var recipe, var kills]: return KillResumeBenchmark.Run(program, recipe, Number(kills));
        case ["training-memory", var recipe, var steps]: TrainingMemoryBenchmark.Run(recipe, Number(steps)); break;
        case ["long-run", var recipe, var steps, .. var settings]: return LongRunBenchmark.Run(recipe, Number(steps), settings);
        case ["fuzz", .. { Length: > 0 } options]: return FuzzCommand.Run(options);
        case ["fuzz-child", var reader, var fixtures, var start, var end, var seed]:
            FuzzChild.Run(reader, fixtures, Number(start), Number(end), Number(seed));
            break;
        default:
            Console.Error.WriteLine($"""
                usage: Tessera.Benchmarks peers {PeersCommand.Usage}
                       Tessera.Benchmarks llama-cpp [FOLDER ...]
                       Tessera.Benchmarks kernels [--levels all|NAME,…] [BENCHMARKDOTNET'S OPTIONS, as --filter *Attention*]
                       Tessera.Benchmarks training-step decoder|hybrid f32|bf16 STEPS
                       Tessera.Benchmarks decode-step STEPS [MODEL [f32|bf16|q8_0]]
                       Tessera.Benchmarks profile {ProfileCommand.Usage}
                       Tessera.Benchmarks score-bias {ScoreBiasBenchmark.Usage}
                       Tessera.Benchmarks kill-resume TESSERA.DLL recipes/quickstart.json KILLS
                       Tessera.Benchmarks training-memory recipes/quickstart.json STEPS
                       Tessera.Benchmarks long-run recipes/quickstart.json STEPS [KEY=VALUE ...]
                       Tessera.Benchmarks fuzz {FuzzCommand.Usage}
                (TESSERA_THREADS and TESSERA_KERNELS apply)
                """);
            return 2;
    }
}
catch (Exception error) when (error is ArgumentException or IOException or FormatException)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}

return 0;

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
