using System.Diagnostics;
using System.Text;
using Tessera.Models.Formats;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Xunit.Abstractions;

namespace Tessera.Models.Tests.Formats;

/// <summary>Checkpoints larger than memory, in files whose zeros take no disk.</summary>
public sealed class LargeCheckpointTests(ITestOutputHelper output) : IDisposable
{
    private const long MaxGrowth = 100 << 20;

    /// <summary>The sizes of a model of 7 billion weights.</summary>
    private static readonly DecoderOptions s_options = new()
    {
        Width = 4096,
        Decoder = new TransformerOptions { Layers = 32, Attention = new MultiHeadOptions(32) { Position = new RotaryOptions() }, FeedForward = new SwiGluOptions(11008) },
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SparseFileFact(14L << 30)]
    public void A_checkpoint_of_13_GB_opens_in_a_second_and_one_weight_is_read_when_it_is_touched()
    {
        var shapes = s_options.Build(32_000, 1).Parameters();
        var path = Sparse(shapes.Select(own => (own.Name, own.Parameter.Shape)));
        Assert.True(new FileInfo(path).Length > 13_000_000_000, $"{new FileInfo(path).Length} bytes");
        var before = Memory();

        // Other tests run beside this one: the best of five tells what opening costs.
        var (model, summary) = Open(path);
        var fastest = Enumerable.Range(0, 5).Min(_ =>
        {
            var watch = Stopwatch.StartNew();
            Open(path);
            return watch.Elapsed;
        });
        output.WriteLine($"{new FileInfo(path).Length} bytes open in {fastest.TotalMilliseconds:F0} ms, memory grew by {(Memory() - before) >> 20} MiB");
        Assert.InRange(fastest, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        Assert.Equal(6_738_415_616, summary.Parameters);
        Assert.Equal(32L * 2 * 4096 * 4096 * sizeof(float), summary.CacheBytes); // taken and given back, never touched
        Assert.Equal((2 * 6_738_149_376) + (4 * 266_240), summary.WeightBytes); // the norms are F32
        Assert.InRange(Memory() - before, long.MinValue, MaxGrowth);

        var touched = model.Parameters().Single(own => own.Name == "decoder.layers.31.feed_forward.up_proj.weight").Parameter;
        Assert.Equal((ElementType.BF16, new Shape(11008, 4096)), (touched.Value.Type, touched.Value.Shape));
        Assert.False(touched.Value.Bytes.ContainsAnyExcept((byte)0));
        Assert.Single(model.Parameters(), own => own.Parameter.IsMade);
    }

    private static (SequenceModel Model, ModelSummary Summary) Open(string path)
    {
        var model = s_options.Build(32_000, 1);
        Weights.Load(model, TensorSource.Open(path), TensorNames.Identity(model), asStored: true);
        return (model, ModelSummary.Of(model, 4096));
    }

    /// <summary>A BF16 file with a header and nothing else written.</summary>
    private string Sparse(IEnumerable<(string Name, Shape Shape)> tensors)
    {
        var (header, end) = (new StringBuilder("{"), 0L);
        foreach (var (name, shape) in tensors)
        {
            var begin = end;
            end += 2 * shape.Count;
            header.Append(header.Length > 1 ? "," : "").Append($$"""
                "{{name}}":{"dtype":"BF16","shape":{{shape}},"data_offsets":[{{begin}},{{end}}]}
                """);
        }

        header.Append('}').Append(' ', (8 - (header.Length % 8)) % 8);
        using var file = File.Create(_folder.File("model.safetensors"));
        file.Write(BitConverter.GetBytes((ulong)header.Length));
        file.Write(Encoding.ASCII.GetBytes(header.ToString()));
        file.SetLength(file.Position + end);
        return file.Name;
    }

    private static long Memory()
    {
        using var process = Process.GetCurrentProcess();
        return Math.Max(GC.GetTotalMemory(forceFullCollection: true), process.WorkingSet64);
    }
}

/// <summary>A test that needs a large file that takes no disk, and says so where the file system has none.</summary>
internal sealed class SparseFileFactAttribute : FactAttribute
{
    /// <summary>Skips the test unless a file of so many bytes can be made at once.</summary>
    public SparseFileFactAttribute(long bytes)
    {
        using var folder = new TemporaryFolder();
        try
        {
            using var file = File.Create(folder.File("sparse"));
            file.SetLength(bytes);
        }
        catch (IOException refused)
        {
            Skip = $"needs a file of {bytes} bytes that takes no disk, which {Path.GetTempPath()} refuses: {refused.Message}";
        }
    }
}
