using System.Globalization;
using System.Text.Json;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>
/// PyTorch's side of the comparisons: its current kernels (libtorch, through TorchSharp, <c>bench/peers/torchsharp</c>) where they load,
/// else Debian's PyTorch and the scripts of <c>shared/peers</c>. Both take the same options and print the same lines.
/// </summary>
internal sealed class TorchPeer
{
    private const string Python = "/usr/bin/python3", Program = "TorchSharpPeer.dll";

    // What a shell may have set for other programs, to the harm of this one.
    private static readonly string[] s_unset =
        ["OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "ONEDNN_", "DNNL_", "ATEN_", "MALLOC_"];

    private readonly string? _program;
    private readonly string? _scripts;

    private TorchPeer(string version, string? program = null, string? scripts = null) =>
        (Version, _program, _scripts) = (version, program, scripts);

    /// <summary>Which PyTorch it is, or why there is none.</summary>
    public string Version { get; }

    /// <summary>Whether it is a current one: with fused attention, and BF16 in all it does.</summary>
    public bool IsCurrent => _program is not null;

    /// <summary>The peer of this machine.</summary>
    /// <param name="scripts">The folder of <c>torch_gemm.py</c> and the others; <c>shared/peers</c> here or above where null.</param>
    /// <param name="wanted"><c>libtorch</c> or <c>pytorch</c>, where only that one will do.</param>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    public static TorchPeer Find(string? scripts, string? wanted)
    {
        if (scripts is not null && !Directory.Exists(scripts))
            throw new DirectoryNotFoundException($"--peers: there is no folder '{scripts}'");
        if (wanted is not (null or "libtorch" or "pytorch"))
            throw new ArgumentException($"--torch: '{wanted}' is no peer; allowed: libtorch, pytorch");
        var why = new List<string>();
        try
        {
            if (wanted != "pytorch") return Current();
        }
        catch (NotHereException missing)
        {
            why.Add($"no libtorch: {missing.Message}");
        }

        try
        {
            if (wanted != "libtorch") return Older(scripts, why);
        }
        catch (NotHereException missing)
        {
            why.Add($"no PyTorch: {missing.Message}; install python3-torch and libopenblas0-pthread");
        }

        return new TorchPeer($"none ({string.Join("; ", why)})");
    }

    /// <summary>Runs a piece of work with as many threads as Tessera uses.</summary>
    /// <param name="work">gemm, attention, train or lstm.</param>
    /// <param name="arguments">Options of the scripts.</param>
    /// <exception cref="NotHereException">There is no peer, or it fails.</exception>
    public ChildResult Run(string work, params IReadOnlyList<string> arguments)
    {
        string[] options = ["--threads", Processor.Threads.ToString(CultureInfo.InvariantCulture), .. arguments];
        var result = _program is not null ? Child.RunWithout(s_unset, "dotnet", [_program, work, .. options])
            : Version.StartsWith("none", StringComparison.Ordinal) ? throw new NotHereException($"PyTorch: {Version}")
            : Child.RunWithout(s_unset, Python, [Script($"torch_{work}.py"), .. options]);
        return result.Lines.Count > 0 ? result : throw new NotHereException($"{work} of PyTorch printed nothing");
    }

    /// <summary>A number of a line.</summary>
    /// <exception cref="NotHereException">The line does not have it.</exception>
    public static double Number(JsonElement line, string key) =>
        line.ValueKind == JsonValueKind.Object && line.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number
            ? value.GetDouble()
            : throw new NotHereException($"a peer printed {line}, which has no number '{key}'");

    /// <summary>A folder below a folder or one of those above it; null where there is none.</summary>
    private static string? Above(string start, params string[] parts)
    {
        for (var place = new DirectoryInfo(start); place is not null; place = place.Parent)
        {
            var candidate = Path.Combine([place.FullName, .. parts]);
            if (Directory.Exists(candidate)) return candidate;
        }

        return null;
    }

    private static TorchPeer Current()
    {
        var project = Above(AppContext.BaseDirectory, "bench", "peers", "torchsharp")
            ?? throw new NotHereException("bench/peers/torchsharp is not above this program");
        var program = Path.Combine(project, "bin", "Release", "net10.0", Program);
        if (!File.Exists(program)) throw new NotHereException($"not built; dotnet build -c Release {project}");
        var version = Child.RunWithout(s_unset, "dotnet", [program, "version"]).Lines[0].GetProperty("version").GetString()!;
        return new TorchPeer(version, program);
    }

    private static TorchPeer Older(string? scripts, List<string> why)
    {
        const string Print = """
            import json, os, torch
            torch.ones(8, 8) @ torch.ones(8, 8)
            libraries = {os.path.basename(os.path.realpath(line.split()[-1])) for line in open("/proc/self/maps")}
            products = sorted(name for name in libraries if "openblas" in name or "mkl" in name)
            print(json.dumps(dict(version=", ".join(["PyTorch " + torch.__version__, *products]))))
            """;
        var version = Child.RunWithout(s_unset, Python, ["-c", Print]).Lines[0].GetProperty("version").GetString()!;
        scripts ??= Above(Environment.CurrentDirectory, "shared", "peers");
        return new TorchPeer(string.Join("; ", [version, .. why]), scripts: scripts);
    }

    private string Script(string name)
    {
        var own = Path.Combine(AppContext.BaseDirectory, "peers", name);
        if (File.Exists(own)) return own;
        if (_scripts is null)
            throw new NotHereException($"{name} was not found: no folder shared/peers here or above; name one with --peers");
        var path = Path.Combine(_scripts, name);
        return File.Exists(path) ? path : throw new NotHereException($"{path} does not exist");
    }
}
