using System.Globalization;
using System.Text.Json;
using Tessera.Benchmarks.TorchSharpPeer;
using TorchSharp;

// PyTorch's current kernels (libtorch, through TorchSharp) on the work of the torch_*.py scripts: the same options, a JSON object a line.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
var options = new Options(args);
OlderLibraries.Allow();
torch.set_num_threads(options.Int("threads", 2));
torch.random.manual_seed(0);
switch (args)
{
    case ["version", ..]: Print(new { version = $"libtorch {torch.__version__}, TorchSharp {TorchSharpVersion()}" }); break;
    case ["gemm", ..]: Products.Run(options, Print); break;
    case ["attention", ..]: AttentionTimes.Run(options, Print); break;
    case ["train", ..]: Training.Run(options, Print); break;
    case ["lstm", ..]: LstmTimes.Run(options, Print); break;
    default:
        Console.Error.WriteLine(
            "usage: TorchSharpPeer version|gemm|attention|train|lstm [--threads N] [--dtype …] [--model …] [--steps N] [--lengths N]");
        return 2;
}

return 0;

static void Print(object line) => Console.WriteLine(JsonSerializer.Serialize(line));

static string TorchSharpVersion() => typeof(torch).Assembly.GetName().Version!.ToString(3);

/// <summary>Options as <c>--name value</c>.</summary>
internal sealed class Options(string[] arguments)
{
    public string Text(string name, string otherwise) =>
        Array.IndexOf(arguments, "--" + name) is >= 0 and var place && place + 1 < arguments.Length ? arguments[place + 1] : otherwise;

    public int Int(string name, int otherwise) =>
        int.Parse(Text(name, otherwise.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);
}
