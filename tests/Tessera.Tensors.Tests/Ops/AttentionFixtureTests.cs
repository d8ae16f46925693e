using Tessera.Testing;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>Attention against PyTorch in double precision: values, gradients, entropies, and the masks bit by bit.</summary>
public class AttentionFixtureTests
{
    private const double Tolerance = 3e-6;

    [Theory]
    [InlineData("causal")]
    [InlineData("sinks")]
    public void Attention_agrees_with_recorded_PyTorch(string name) => Agree(Fixture.Local($"torch/attention-{name}"), name);

    [SharedFact("fixtures/torch/attention-full")]
    public void Attention_agrees_with_PyTorch_under_every_mask()
    {
        var folders = Directory.GetDirectories(Fixture.Shared("fixtures/torch")!, "attention-*");
        Assert.True(folders.Length >= 14);
        foreach (var folder in folders) Agree(folder, Path.GetFileName(folder)["attention-".Length..]);
    }

    internal static BlockMask Mask(string name, int batch, int queries, int keys)
    {
        var full = BlockMask.Full(queries, keys);
        var causal = BlockMask.Causal(queries, keys);
        var segments = Enumerable.Range(0, batch * keys).Select(i => i % keys < 13 ? 0 : i % keys < 33 ? 1 : 2).ToArray();
        return name switch
        {
            "full" or "bias" or "softcap-15" or "sinks" => full,
            "causal" or "cached-causal" => causal,
            "window-7" => causal.Within(7),
            "window-both-5" => full.Around(5),
            "dilated-6x3" => causal.Dilated(6, 3),
            "global-4-window-5" => causal.Within(5).Or(causal.Prefix(4)),
            "strided-8" => causal.Within(8).Or(causal.Strided(8)),
            "chunked-16" => causal.Chunked(16),
            "packed" => causal.Segments(Tensor.From(segments, [batch, keys]), Tensor.From(segments, [batch, keys])),
            "prefix-10" => causal.Or(full.Prefix(10)),
            _ => throw new ArgumentException($"no mask is known for the case '{name}'"),
        };
    }

    internal static void Agree(string folder, string name, double tolerance = Tolerance)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var expected = new ReferenceTensors(Path.Combine(folder, "expected.safetensors"));
        Tensor Input(string input) => Tensor.From(expected.Floats(input), new Shape(expected.Shape(input))).WithGradient();
        Tensor q = Input("q"), k = Input("k"), v = Input("v");
        var (batch, queries, heads, keys) = (q.Shape[0], q.Shape[1], q.Shape[2], k.Shape[1]);
        var mask = Mask(name, batch, queries, keys);
        AllowsExactly(expected.Ints("mask"), mask, name);

        var bias = expected.Has("bias") ? Input("bias") : null;
        var settings = new AttentionSettings
        {
            SoftCap = name == "softcap-15" ? 15 : 0,
            Bias = bias is null ? null : ScoreBias.Dense(bias),
            Sinks = expected.Has("sinks") ? Input("sinks") : null,
            Entropy = Tensor.Temporary([batch, heads, queries]),
        };
        var y = Op.Attention(q, k, v, mask, settings);
        tape.Backward(y, expected.Floats("dy"));

        void Compare(string what, ReadOnlySpan<float> found) =>
            OperationCheck.Compare($"{name} {what}", [.. expected.Floats(what).Select(value => (double)value)], found.ToArray(), tolerance);
        Compare("y", y.Floats);
        Compare("grad.q", q.Gradient);
        Compare("grad.k", k.Gradient);
        Compare("grad.v", v.Gradient);
        if (bias is not null) Compare("grad.bias", bias.Gradient);
        if (settings.Sinks is { } sinks) Compare("grad.sinks", sinks.Gradient);
        if (expected.Has("entropy")) Compare("entropy", settings.Entropy.Floats);
    }

    private static void AllowsExactly(int[] table, BlockMask mask, string name)
    {
        for (var query = 0; query < mask.Queries; query++)
        {
            for (var key = 0; key < mask.Keys; key++)
                Assert.True(table[(query * mask.Keys) + key] != 0 == mask.Allows(1, 0, query, key), $"{name}: query {query}, key {key}");
        }
    }
}
