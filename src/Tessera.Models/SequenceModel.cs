using System.Text.Json.Serialization;
using Tessera.Nn;
using Tessera.Nn.Caches;
using Tessera.Nn.Positions;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Options of a whole model; <c>"model": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(EncoderDecoderOptions), "encoder-decoder")]
[JsonDerivedType(typeof(DecoderOptions), "decoder")]
public abstract record ModelOptions
{
    /// <summary>The size of the vectors that flow through the model; 1 to 65,536.</summary>
    public required int Width { get; init; }

    /// <summary>Whether the table that maps tokens to vectors also maps vectors to the logits of tokens
    /// (Press and Wolf 2017, arXiv 1608.05859).</summary>
    public bool TieEmbeddings { get; init; }

    /// <summary>What the entries of embedding tables are multiplied by when they are looked up, greater than 0; the square root of
    /// the table's width where null.</summary>
    public float? EmbeddingScale { get; init; }

    /// <summary>What logits are multiplied by; greater than 0.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>Where above 0, a logit l becomes <c>cap · tanh(l / cap)</c>, after the scale (Gemma 2, arXiv 2408.00118). Training
    /// then holds the logits of a whole batch.</summary>
    public float LogitSoftCap { get; init; }

    /// <summary>Builds the model.</summary>
    /// <param name="vocabulary">How many tokens the tokenizer knows.</param>
    /// <param name="seed">Where the initial weights come from.</param>
    /// <exception cref="RecipeException">An option is not allowed.</exception>
    public SequenceModel Build(int vocabulary, ulong seed)
    {
        var part = new PartBuilder(Width, "model", new CounterRandom(seed).Derive("weights"));
        part.Require(Width is >= 1 and <= 65536, "width", Width, "1 to 65536");
        part.Require(EmbeddingScale is null or (> 0 and < float.PositiveInfinity), "embeddingScale", EmbeddingScale, "greater than 0");
        part.Require(LogitScale is > 0 and < float.PositiveInfinity, "logitScale", LogitScale, "greater than 0");
        part.Require(LogitSoftCap is >= 0 and < float.PositiveInfinity, "logitSoftCap", LogitSoftCap, "0 (none) or above");
        return Build(part, vocabulary);
    }

    /// <summary>Builds the model from checked sizes.</summary>
    protected abstract SequenceModel Build(PartBuilder part, int vocabulary);
}

/// <summary>
/// A model that predicts a sequence token by token. Training and cached decoding run the same parts: <see cref="Loss"/>
/// over whole sequences, a <see cref="Decoding.DecodingSession"/> token by token.
/// </summary>
public abstract class SequenceModel : Module
{
    private readonly float _logitScale;
    private readonly float _logitSoftCap;

    /// <summary>A model over a vocabulary of the given size.</summary>
    protected SequenceModel(ModelOptions options, int vocabulary) =>
        (Vocabulary, _logitScale, _logitSoftCap) = (vocabulary, options.LogitScale, options.LogitSoftCap);

    /// <summary>How many tokens there are.</summary>
    public int Vocabulary { get; }

    /// <summary>Whether the model translates a source sequence, or only continues one.</summary>
    public abstract bool ReadsSource { get; }

    /// <summary>The longest sequence the decoder can read: the positions that its encodings have; without limit where none has.</summary>
    public int LongestSequence => Longest(name => !IsInEncoder(name));

    /// <summary>The longest source the encoder can read.</summary>
    public int LongestSource => Longest(IsInEncoder);

    /// <summary>The part that reads tokens one after the other, and so has caches.</summary>
    public abstract Module Decoder { get; }

    /// <summary>[vocabulary, width]: maps vectors to logits.</summary>
    protected abstract Weight Head { get; }

    /// <summary>The mean negative log-likelihood of a batch's targets, in nats.</summary>
    /// <param name="batch">What to predict from what.</param>
    /// <param name="context">Its positions are the batch's; parts add their losses to it.</param>
    /// <param name="settings">Label smoothing and z loss.</param>
    /// <returns>A scalar.</returns>
    public Tensor Loss(Batch batch, ForwardContext context, CrossEntropySettings settings = default)
    {
        var hidden = Hidden(batch, context);
        if (context.IsTraining) AddLosses(hidden, batch, context, settings);
        return LossOf(hidden, batch.Targets, context, settings);
    }

    /// <summary>The logits of every place of a batch, of the token after it.</summary>
    /// <param name="batch">Its inputs are read; its targets are not.</param>
    /// <param name="context">Its positions are the batch's.</param>
    /// <returns>[batch, length, vocabulary].</returns>
    public Tensor Logits(Batch batch, ForwardContext context) => LogitsOf(Hidden(batch, context), context);

    /// <summary>Whether <see cref="Close"/> has been called.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>Says that the model is not to be used any more: its weights may be in a file that is being closed. Decoding sessions then refuse.</summary>
    public void Close() => IsClosed = true;

    /// <summary>Throws once the model is closed.</summary>
    /// <exception cref="ObjectDisposedException">It is.</exception>
    internal void RequireOpen() => ObjectDisposedException.ThrowIf(IsClosed, this);

    /// <summary>Reads the tokens of a step of decoding.</summary>
    /// <param name="tokens">I32 [1, tokens].</param>
    /// <param name="context">Has the step.</param>
    /// <param name="places">At which of the tokens logits are wanted.</param>
    /// <returns>[places, vocabulary].</returns>
    internal Tensor DecodeStep(Tensor tokens, ForwardContext context, ReadOnlySpan<int> places)
    {
        var hidden = Decode(tokens, context);
        hidden = hidden.Reshape([hidden.Shape.Rows, hidden.Shape.Width]);
        if (places.Length < hidden.Shape[0]) hidden = Op.Embedding(Tensor.From(places, [places.Length]), hidden); // else every token's, in order
        return LogitsOf(hidden, context);
    }

    /// <summary>Has the caches remember what the encoder says of sources; only of a model that reads them.</summary>
    /// <param name="sources">Token ids.</param>
    /// <param name="sequences">The number of each one's sequence in the caches.</param>
    /// <param name="caches">Of this model.</param>
    internal virtual void Remember(IReadOnlyList<int[]> sources, ReadOnlySpan<int> sequences, CacheSet caches) =>
        throw new InvalidOperationException("this model reads no source");

    /// <summary>Logits [..., vocabulary] of vectors [..., width].</summary>
    protected Tensor LogitsOf(Tensor hidden, ForwardContext context)
    {
        using var read = Activations.Of(Scaled(hidden));
        var logits = Head.Apply(read, null, context);
        return _logitSoftCap == 0 ? logits : Op.Scale(Op.Activate(Op.Scale(logits, 1 / _logitSoftCap), Activation.Tanh), _logitSoftCap);
    }

    /// <summary>The mean negative log-likelihood of targets, I32 of as many elements as there are vectors; those below 0 do not count.</summary>
    protected Tensor LossOf(Tensor hidden, Tensor targets, ForwardContext context, CrossEntropySettings settings)
    {
        if (_logitSoftCap == 0 && Head.AsTensor is { } weight) return Op.LinearCrossEntropy(Scaled(hidden), weight, targets, settings);
        var logits = LogitsOf(hidden, context);
        return Op.CrossEntropy(logits.Reshape([logits.Shape.Rows, Vocabulary]), targets.Reshape([logits.Shape.Rows]), settings);
    }

    /// <summary>Adds losses beside that of the next token to a context that trains.</summary>
    /// <param name="hidden">What <see cref="Hidden"/> gave.</param>
    /// <param name="batch">What to predict from what.</param>
    /// <param name="context">Takes the losses.</param>
    /// <param name="settings">Label smoothing and z loss.</param>
    protected virtual void AddLosses(Tensor hidden, Batch batch, ForwardContext context, CrossEntropySettings settings)
    {
    }

    private Tensor Scaled(Tensor hidden) => _logitScale == 1 ? hidden : Op.Scale(hidden, _logitScale);

    /// <summary>The vectors from which each place's next token is predicted: [batch, length, width].</summary>
    protected abstract Tensor Hidden(Batch batch, ForwardContext context);

    private static bool IsInEncoder(string name) => name.StartsWith("encoder.", StringComparison.Ordinal);

    private int Longest(Func<string, bool> where) => Modules()
        .Where(module => where(module.Name)).Select(module => module.Module).OfType<PositionEncoding>()
        .Select(encoding => encoding.Positions).DefaultIfEmpty(int.MaxValue).Min();

    /// <summary>The decoder alone: I32 [rows, length] to [rows, length, width].</summary>
    protected abstract Tensor Decode(Tensor inputs, ForwardContext context);
}
