using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

namespace Tessera.Models.Tests.Formats;

/// <summary>Whole models with their weights as they are stored.</summary>
public sealed class StoredModelTests : IDisposable
{
    private const int Vocabulary = 32;

    private readonly TemporaryFolder _folder = new();

    private static readonly Dictionary<string, DecoderOptions> s_models = new()
    {
        ["dense"] = Decoder(new MultiHeadOptions(4) { KeyValueHeads = 2, Bias = true, Sinks = true, QueryKeyNorm = new Nn.Norms.RmsNormOptions(), Position = new RotaryOptions(Positions: 64) }, new SwiGluOptions(64)),
        ["tied, learned positions"] = Decoder(new MultiHeadOptions(2) { Bias = true }, new GeluOptions(96) { Bias = true }) with { TieEmbeddings = true },
        ["latent attention and experts"] = Decoder(
            new LatentOptions(2, 32, 16, 16, 16) { QLoraRank = 32 },
            new ExpertsOptions(4, 2, new SwiGluOptions(32), Shared: 1) { Router = new SigmoidRouterOptions() }) with { MtpDepth = 1 },
        ["softmax experts"] = Decoder(new MultiHeadOptions(2) { Position = new AlibiOptions() }, new ExpertsOptions(4, 2, new SwiGluOptions(32)) { Router = new SoftmaxRouterOptions() }),
    };

    public static TheoryData<string, ElementType> Cases
    {
        get
        {
            var cases = new TheoryData<string, ElementType>();
            foreach (var model in s_models.Keys)
                foreach (var type in new[] { ElementType.F32, ElementType.BF16, ElementType.F16, ElementType.Q8_0, ElementType.Q4_0 })
                    cases.Add(model, type);
            return cases;
        }
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_model_computes_with_stored_weights_what_it_computes_with_what_they_stand_for(string name, ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var path = Save(s_models[name], type);
        var (stored, widened) = (Load(name, path, asStored: true), Load(name, path, asStored: false));
        foreach (var (own, parameter) in stored.Parameters())
        {
            var isKept = parameter.Shape.Rank > 1 && !own.Contains("router", StringComparison.Ordinal) && !own.Contains("position", StringComparison.Ordinal);
            Assert.True(parameter.Type == (isKept ? type : ElementType.F32), $"{own} is {parameter.Type}");
        }

        var batch = SmallModels.Batch(null, [[1, 9, 4, 30, 2, 7]], [[9, 4, 30, 2, 7, 8]]);
        // Activations are rounded to 8 bits before they meet quantized weights.
        var tolerance = type >= ElementType.Q8_0 ? 0.06 : 2e-5;
        Near(widened.Logits(batch, ForwardContext.At(batch.Positions)), stored.Logits(batch, ForwardContext.At(batch.Positions)), tolerance);
        Assert.Equal(SmallModels.Loss(widened, batch), SmallModels.Loss(stored, batch), tolerance);

        var (slow, fast) = (new DecodedRows(widened, [1]), new DecodedRows(stored, [1]));
        foreach (var tokens in new int[][] { [1, 9], [4], [30] }) Near(slow.Next(tokens), fast.Next(tokens), tolerance);
    }

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.Q8_0)]
    [InlineData(ElementType.Q4_0)]
    [InlineData(ElementType.Q4_K)]
    [InlineData(ElementType.Q6_K)]
    [InlineData(ElementType.Q5_0)]
    [InlineData(ElementType.Q5_1)]
    [InlineData(ElementType.Q5_K)]
    public void Products_with_weights_where_they_lie_have_the_bits_of_products_with_copies(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var writer = new GgufWriter { Metadata = { ["general.alignment"] = GgufValue.Of(8u) } };
        for (var i = 0; i < 4; i++)
        {
            var (padding, bytes) = (new byte[1 + (8 * i)], StoredParts.Bytes(type, [37, 512], i));
            writer.Add($"pad {i}", GgufType.I8, [padding.Length], stream => stream.Write(padding)); // so that each lies elsewhere within a cache line
            writer.Add($"{i}", Enum.Parse<GgufType>(type.ToString()), [37, 512], stream => stream.Write(bytes));
        }

        writer.Save(_folder.File("a.gguf"));
        using var file = GgufFile.Open(_folder.File("a.gguf"));
        var random = new Random(8);
        foreach (var rows in new[] { 1, 3, 33 })
        {
            var x = Tensor.From([.. Enumerable.Range(0, rows * 512).Select(_ => (float)random.NextDouble() - 0.5f)], [rows, 512]);
            for (var i = 0; i < 4; i++)
            {
                var view = file.View($"{i}");
                Assert.Equal(Op.Linear(x, view.Keep()).ToArray(), Op.Linear(x, view).ToArray());
            }
        }
    }

    private static DecoderOptions Decoder(MixerOptions attention, FeedForwardOptions feedForward) => new()
    {
        Width = 64,
        Decoder = new TransformerOptions { Layers = 2, Attention = attention, FeedForward = feedForward, Position = attention is MultiHeadOptions { Position: null } ? new LearnedOptions(64) : null },
    };

    private static SequenceModel Load(string name, string path, bool asStored)
    {
        var model = s_models[name].Build(Vocabulary, 99);
        Weights.Load(model, TensorSource.Open(path), TensorNames.Identity(model), asStored);
        return model;
    }

    private string Save(DecoderOptions options, ElementType type)
    {
        var model = options.Build(Vocabulary, 5);
        var writer = new GgufWriter();
        foreach (var tensor in Weights.Outgoing(model, TensorNames.Identity(model)))
        {
            var written = tensor.Shape.Count > 1 ? type : ElementType.F32;
            writer.Add(tensor.Name, Enum.Parse<GgufType>(written.ToString()), [.. tensor.Shape], stream => tensor.WriteTo(stream, written));
        }

        writer.Save(_folder.File("model.gguf"));
        return _folder.File("model.gguf");
    }

    private static void Near(Tensor expected, Tensor found, double tolerance)
    {
        var max = expected.ToArray().Max(Math.Abs);
        foreach (var (wanted, got) in expected.ToArray().Zip(found.ToArray())) Assert.Equal(wanted, got, tolerance * Math.Max(1, max));
    }
}
