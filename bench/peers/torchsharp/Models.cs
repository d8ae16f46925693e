using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Tessera.Benchmarks.TorchSharpPeer;

internal static class Sizes
{
    public const int Vocabulary = 8192, HeadWidth = 64;
}

/// <summary>Mixed precision by hand, since TorchSharp has no autocast: weights stay F32 and are cast once a use.</summary>
internal static class Numbers
{
    public static bool AreBf16 { get; set; }

    /// <summary>A product in BF16 where that is wanted.</summary>
    public static Tensor Apply(this Linear linear, Tensor x) =>
        AreBf16 ? F.linear(x.to(ScalarType.BFloat16), linear.weight!.to(ScalarType.BFloat16)) : linear.forward(x);

    /// <summary>Rotates pairs of a vector's halves by its position's angles.</summary>
    public static Tensor Rotate(this Tensor x, (Tensor Cosine, Tensor Sine) angles)
    {
        var halves = x.chunk(2, -1);
        return cat(
            [halves[0] * angles.Cosine - halves[1] * angles.Sine, halves[1] * angles.Cosine + halves[0] * angles.Sine], -1).to(x.dtype);
    }

    /// <summary>Cosines and sines of a rotary embedding, [length, half a head].</summary>
    public static (Tensor Cosine, Tensor Sine) Angles(long length)
    {
        var frequencies = pow(10000, -arange(0, Sizes.HeadWidth, 2).to(ScalarType.Float32) / Sizes.HeadWidth);
        var angles = outer(arange(length).to(ScalarType.Float32), frequencies);
        return (angles.cos(), angles.sin());
    }

    public static Linear Linear(long inputs, long outputs) => nn.Linear(inputs, outputs, hasBias: false);
}

/// <summary>RMSNorm, in F32.</summary>
internal sealed class Norm : nn.Module<Tensor, Tensor>
{
    private readonly Parameter _weight;

    public Norm(int width) : base(nameof(Norm))
    {
        _weight = new Parameter(ones(width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var numbers = x.to(ScalarType.Float32);
        return numbers * rsqrt(numbers.pow(2).mean([-1L], true) + 1e-6) * _weight;
    }
}

/// <summary>Attention over the sequence itself, causal and rotary, or over a context.</summary>
internal sealed class Attention : nn.Module<Tensor, Tensor>
{
    private readonly Linear _queries, _keys, _values, _output;
    private readonly int _heads;

    public Attention(int width, int heads) : base(nameof(Attention))
    {
        _heads = heads;
        (_queries, _keys) = (Numbers.Linear(width, heads * Sizes.HeadWidth), Numbers.Linear(width, heads * Sizes.HeadWidth));
        (_values, _output) = (Numbers.Linear(width, heads * Sizes.HeadWidth), Numbers.Linear(heads * Sizes.HeadWidth, width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Forward(x, x, null);

    public Tensor Forward(Tensor x, Tensor context, (Tensor, Tensor)? angles)
    {
        var (queries, keys, values) = (Heads(_queries.Apply(x)), Heads(_keys.Apply(context)), Heads(_values.Apply(context)));
        if (angles is { } known) (queries, keys) = (queries.Rotate(known), keys.Rotate(known));
        var y = F.scaled_dot_product_attention(queries, keys, values, is_casual: angles is not null);
        return _output.Apply(y.transpose(1, 2).reshape(x.shape[0], x.shape[1], -1));
    }

    private Tensor Heads(Tensor x) => x.view(x.shape[0], x.shape[1], _heads, -1).transpose(1, 2);
}

internal sealed class SwiGlu : nn.Module<Tensor, Tensor>
{
    private readonly Linear _gate, _up, _down;

    public SwiGlu(int width, int hidden) : base(nameof(SwiGlu))
    {
        (_gate, _up, _down) = (Numbers.Linear(width, hidden), Numbers.Linear(width, hidden), Numbers.Linear(hidden, width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        if (Numbers.AreBf16) x = x.to(ScalarType.BFloat16);
        return _down.Apply(F.silu(_gate.Apply(x)) * _up.Apply(x));
    }
}

/// <summary>Two experts for every token, and the best two of four for each.</summary>
internal sealed class Experts : nn.Module<Tensor, Tensor>
{
    private const int Shared = 2, Routed = 4, PerToken = 2;

    private readonly ModuleList<SwiGlu> _shared, _routed;
    private readonly Linear _router;

    public Experts(int width, int hidden) : base(nameof(Experts))
    {
        _shared = nn.ModuleList(Enumerable.Range(0, Shared).Select(_ => new SwiGlu(width, hidden)).ToArray());
        _routed = nn.ModuleList(Enumerable.Range(0, Routed).Select(_ => new SwiGlu(width, hidden)).ToArray());
        _router = Numbers.Linear(width, Routed);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var rows = x.reshape(-1, x.shape[^1]);
        var y = _shared[0].forward(rows) + _shared[1].forward(rows);
        var (weights, chosen) = _router.Apply(rows).to(ScalarType.Float32).softmax(-1).topk(PerToken, -1);
        for (var expert = 0; expert < Routed; expert++)
        {
            var places = (chosen == expert).nonzero();
            if (places.shape[0] == 0) continue;
            var (tokens, choices) = (places.select(1, 0), places.select(1, 1));
            var weight = weights.index(TensorIndex.Tensor(tokens), TensorIndex.Tensor(choices)).unsqueeze(-1);
            y = y.index_add(0, tokens, (_routed[expert].forward(rows.index_select(0, tokens)) * weight).to(y.dtype), 1);
        }

        return y.view(x.shape);
    }
}

/// <summary>Norm, attention, for the hybrid norm and cross-attention, norm and feed-forward, each with its residual.</summary>
internal sealed class Layer : nn.Module<Tensor, Tensor>
{
    private readonly Norm _first, _last;
    private readonly Norm? _middle;
    private readonly Attention _self;
    private readonly Attention? _cross;
    private readonly nn.Module<Tensor, Tensor> _feedForward;

    public Layer(int width, int heads, bool readsContext, nn.Module<Tensor, Tensor> feedForward) : base(nameof(Layer))
    {
        (_first, _last, _self, _feedForward) = (new Norm(width), new Norm(width), new Attention(width, heads), feedForward);
        if (readsContext) (_middle, _cross) = (new Norm(width), new Attention(width, heads));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Forward(x, Numbers.Angles(x.shape[1]), null);

    public Tensor Forward(Tensor x, (Tensor, Tensor) angles, Tensor? context)
    {
        var y = _first.forward(x);
        x = x + _self.Forward(y, y, angles);
        if (_cross is not null) x = x + _cross.Forward(_middle!.forward(x), context!, null);
        return x + _feedForward.forward(_last.forward(x));
    }
}

/// <summary>Llama's kind of decoder: width 320, 8 layers, 5 heads of 64, SwiGLU of 744.</summary>
internal sealed class Decoder : nn.Module<Tensor, Tensor>
{
    private const int Width = 320;

    private readonly Embedding _tokens = nn.Embedding(Sizes.Vocabulary, Width);
    private readonly ModuleList<Layer> _layers =
        nn.ModuleList(Enumerable.Range(0, 8).Select(_ => new Layer(Width, 5, false, new SwiGlu(Width, 744))).ToArray());
    private readonly Norm _norm = new(Width);
    private readonly Linear _head = Numbers.Linear(Width, Sizes.Vocabulary);

    public Decoder() : base(nameof(Decoder)) => RegisterComponents();

    public override Tensor forward(Tensor tokens)
    {
        var (angles, y) = (Numbers.Angles(tokens.shape[1]), _tokens.forward(tokens));
        foreach (var layer in _layers) y = layer.Forward(y, angles, null);
        return _head.Apply(_norm.forward(y));
    }
}

/// <summary>
/// A bidirectional LSTM of 2 layers that reads the source, and 4 decoder layers of width 256 with cross-attention and experts. The LSTM
/// stays F32 in mixed precision.
/// </summary>
internal sealed class Hybrid : nn.Module<Tensor, Tensor>
{
    private const int SourceWidth = 64, Hidden = 128, Width = 256;

    private readonly Embedding _source = nn.Embedding(Sizes.Vocabulary, SourceWidth), _tokens = nn.Embedding(Sizes.Vocabulary, Width);
    private readonly LSTM _lstm = nn.LSTM(SourceWidth, Hidden, 2, batchFirst: true, bidirectional: true);
    private readonly Linear _residual = nn.Linear(SourceWidth, 2 * Hidden);
    private readonly ModuleList<Layer> _layers =
        nn.ModuleList(Enumerable.Range(0, 4).Select(_ => new Layer(Width, 4, true, new Experts(Width, 368))).ToArray());
    private readonly Norm _norm = new(Width);
    private readonly Linear _head = Numbers.Linear(Width, Sizes.Vocabulary);

    public Hybrid() : base(nameof(Hybrid)) => RegisterComponents();

    public override Tensor forward(Tensor tokens)
    {
        var source = _source.forward(tokens);
        var context = _lstm.forward(source).Item1 + _residual.forward(source);
        var (angles, y) = (Numbers.Angles(tokens.shape[1]), _tokens.forward(tokens));
        foreach (var layer in _layers) y = layer.Forward(y, angles, context);
        return _head.Apply(_norm.forward(y));
    }
}
