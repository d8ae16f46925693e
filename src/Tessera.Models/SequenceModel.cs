using System.Text.Json.Serialization;
using Tessera.Nn;
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
/// over whole sequences, <see cref="Start"/> and <see cref="Next(DecodingState, IReadOnlyList{int[]})"/> step by context.
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

    /// <summary>Begins decoding.</summary>
    /// <param name="prompts">Token ids: sources to translate, or beginnings to continue. At least one, none empty.</param>
    /// <param name="rowsEach">How many rows a prompt may grow to, as beam search needs.</param>
    /// <param name="newTokens">The greatest number of tokens to be generated.</param>
    /// <returns>A state with one row a prompt.</returns>
    public abstract DecodingState Start(IReadOnlyList<int[]> prompts, int rowsEach, int newTokens);

    /// <summary>Reads the next tokens of each row and gives the logits of the token after them.</summary>
    /// <param name="state">What was read before; it advances.</param>
    /// <param name="tokens">The tokens of each row; rows may be of different lengths, none empty. Shorter ones are padded, and
    /// the padding, too, must fit what the state was made for.</param>
    /// <returns>[rows, vocabulary], a temporary.</returns>
    public Tensor Next(DecodingState state, IReadOnlyList<int[]> tokens)
    {
        if (tokens.Count != state.Rows) throw new ArgumentException($"{tokens.Count} rows of tokens for {state.Rows} rows of state");
        tokens = state.ToRead(tokens);
        var length = tokens.Max(row => row.Length);
        var inputs = Tensor.Temporary([state.Rows, length], ElementType.I32);
        var last = Tensor.Temporary([state.Rows], ElementType.I32);
        inputs.Ints.Clear();
        for (var row = 0; row < state.Rows; row++)
        {
            tokens[row].CopyTo(inputs.Ints[(row * length)..]);
            last.Ints[row] = (row * length) + tokens[row].Length - 1;
        }

        using var pause = Tape.Pause();
        var context = ContextOf(state, length);
        var ends = Op.Embedding(last, Advance(inputs, context));
        for (var row = 0; row < state.Rows; row++) state.Positions[row] += tokens[row].Length;
        return LogitsOf(ends, context);
    }

    /// <summary>As <see cref="Next(DecodingState, IReadOnlyList{int[]})"/>, for one token a row. Allocates nothing once such a context
    /// has been done before, but where the model has positions that depend on how long a sequence is (<see cref="DynamicScaling"/>,
    /// <see cref="LongScaling"/>): there whole sequences are read again as often as they change.</summary>
    public Tensor Next(DecodingState state, ReadOnlySpan<int> tokens)
    {
        if (tokens.Length != state.Rows) throw new ArgumentException($"{tokens.Length} tokens for {state.Rows} rows of state");
        if (state.ReadsAgain) return Next(state, [.. tokens.ToArray().Select(token => new[] { token })]);
        using var pause = Tape.Pause();
        var context = ContextOf(state, 1);
        var hidden = Advance(Tensor.From(tokens, [state.Rows, 1]), context);
        for (var row = 0; row < state.Rows; row++) state.Positions[row]++;
        return LogitsOf(hidden, context);
    }

    private static ForwardContext ContextOf(DecodingState state, int length)
    {
        var context = ForwardContext.At(Batch.PositionsFrom(state.Positions, length));
        context.Caches = state.Caches;
        context.Memory = state.Memory?.First(state.Rows);
        context.MemoryLengths = state.MemoryLengths?.First(state.Rows);
        return context;
    }

    /// <summary>Reads I32 [rows, length] into the caches and gives [rows · length, width]; positions are the caller's to move on.</summary>
    private Tensor Advance(Tensor inputs, ForwardContext context)
    {
        var hidden = Decode(inputs, context);
        return hidden.Reshape([hidden.Shape.Rows, hidden.Shape.Width]);
    }

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
