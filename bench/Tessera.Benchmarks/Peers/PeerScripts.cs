using System.Globalization;
using System.Text.Json;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>PyTorch's side of the comparisons: the scripts of <c>shared/peers</c> and those beside this program.</summary>
/// <param name="folder">Where <c>torch_gemm.py</c> and the others are, or null where no such folder was found.</param>
internal sealed class PeerScripts(string? folder)
{
    private const string Python = "/usr/bin/python3";

    /// <summary>The folder asked for, or <c>shared/peers</c> beside the working directory or a folder above it.</summary>
    public static PeerScripts Find(string? wanted)
    {
        if (wanted is not null)
            return Directory.Exists(wanted)
                ? new PeerScripts(wanted)
                : throw new DirectoryNotFoundException($"--peers: there is no folder '{wanted}'");
        for (var place = new DirectoryInfo(Environment.CurrentDirectory); place is not null; place = place.Parent)
        {
            var candidate = Path.Combine(place.FullName, "shared", "peers");
            if (Directory.Exists(candidate)) return new PeerScripts(candidate);
        }

        return new PeerScripts(null);
    }

    /// <summary>PyTorch's version and the library of its F32 products, or why there is none.</summary>
    public static string Version()
    {
        const string Print = """
            import json, os, torch
            torch.ones(8, 8) @ torch.ones(8, 8)
            libraries = {os.path.basename(os.path.realpath(line.split()[-1])) for line in open("/proc/self/maps")}
            products = sorted(name for name in libraries if "openblas" in name or "mkl" in name)
            print(json.dumps(dict(version=", ".join([torch.__version__, *products]))))
            """;
        try
        {
            return Child.Run(Python, "-c", Print).Lines[0].GetProperty("version").GetString()!;
        }
        catch (NotHereException error)
        {
            return $"none ({error.Message}); install python3-torch and libopenblas0-pthread";
        }
    }

    /// <summary>Runs a script with as many threads as Tessera uses.</summary>
    /// <exception cref="NotHereException">There is no such script, or it fails.</exception>
    public ChildResult Run(string script, params IReadOnlyList<string> arguments)
    {
        var own = Path.Combine(AppContext.BaseDirectory, "peers", script);
        var path = File.Exists(own) ? own
            : folder is not null ? Path.Combine(folder, script)
            : throw new NotHereException($"{script} was not found: no folder shared/peers here or above; name one with --peers");
        if (!File.Exists(path)) throw new NotHereException($"{path} does not exist");
        var result = Child.Run(Python, [path, "--threads", Processor.Threads.ToString(CultureInfo.InvariantCulture), .. arguments]);
        return result.Lines.Count > 0 ? result : throw new NotHereException($"{script} printed nothing");
    }

    /// <summary>A number of a script's line.</summary>
    /// <exception cref="NotHereException">The line does not have it.</exception>
    public static double Number(JsonElement line, string key) =>
        line.ValueKind == JsonValueKind.Object && line.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number
            ? value.GetDouble()
            : throw new NotHereException($"a peer printed {line}, which has no number '{key}'");
}
