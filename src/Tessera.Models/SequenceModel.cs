using System.Text.Json.Serialization;
using Tessera.Nn;
using Tessera.Nn.Caches;
using Tessera.Nn.Heads;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Options of a whole model; <c>"model": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(EncoderDecoderOptions), "encoder-decoder")]
[JsonDerivedType(typeof(DecoderOptions), "decoder")]
[JsonDerivedType(typeof(EncoderModelOptions), "encoder")]
public abstract record ModelOptions
{
    /// <summary>The size of the vectors that flow through the model; 1 to 65,536.</summary>
    public required int Width { get; init; }

    /// <summary>What the model says at the end.</summary>
    public HeadOptions Head { get; init; } = new TokensHeadOptions();

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
/// A model of sequences: a backbone gives hidden states, a head says something of them. Training and cached decoding run the same parts:
/// <see cref="Loss"/> over whole sequences, a <see cref="Decoding.DecodingSession"/> token by token.
/// </summary>
public abstract class SequenceModel : Module
{
    /// <summary>The mapped files that weights lie in, as of the number of mappings at which they were looked for: a weight that is
    /// touched later may map another file.</summary>
    private (int Made, MappedMemory[] Files) _mapped = (-1, []);

    /// <summary>Puts a backbone and its head together.</summary>
    /// <param name="options">Its head is built.</param>
    /// <param name="part">The model's.</param>
    /// <param name="backbone">What gives hidden states.</param>
    /// <param name="vocabulary">How many tokens there are.</param>
    /// <exception cref="RecipeException">An option of the head is not allowed.</exception>
    protected SequenceModel(ModelOptions options, PartBuilder part, Backbone backbone, int vocabulary)
    {
        Vocabulary = vocabulary;
        var site = new HeadSite(vocabulary, backbone.Embedding.Weight, backbone.Decoder is not null)
        {
            IsTied = options.TieEmbeddings, LogitScale = options.LogitScale, LogitSoftCap = options.LogitSoftCap,
        };
        Head = Own("", options.Head.Build(part with { Width = backbone.OutputWidth }, site));
        Backbone = Own("", backbone);
    }

    /// <summary>How many tokens there are.</summary>
    public int Vocabulary { get; }

    /// <summary>What reads tokens and gives hidden states.</summary>
    public Backbone Backbone { get; }

    /// <summary>What says something of the hidden states.</summary>
    public Head Head { get; }

    /// <summary>Whether the model reads a source sequence, rather than one alone.</summary>
    public bool ReadsSource => Backbone.ReadsSource;

    /// <summary>Whether the model writes token by token: it has a decoder, and a head of tokens.</summary>
    public bool Generates => Backbone.Decoder is not null && Head is TokensHead;

    /// <summary>The longest sequence the model can read, or the decoder of one that reads a source: the positions that its encodings have;
    /// without limit where none has.</summary>
    public int LongestSequence => Longest(name => !ReadsSource || !IsInEncoder(name));

    /// <summary>The longest source the encoder can read.</summary>
    public int LongestSource => Longest(IsInEncoder);

    /// <summary>The part that reads tokens one after the other, and so has caches.</summary>
    /// <exception cref="InvalidOperationException">The model reads whole texts.</exception>
    public Module Decoder => Backbone.Decoder
        ?? throw new InvalidOperationException("this model is an encoder: it reads whole texts and has no decoder");

    /// <summary>The loss of a batch's targets, as the head defines it: of tokens and labels the mean negative log-likelihood, in
    /// nats.</summary>
    /// <param name="batch">What to predict from what.</param>
    /// <param name="context">Its positions are the batch's; parts add their losses to it.</param>
    /// <param name="settings">Label smoothing and z loss.</param>
    /// <returns>A scalar.</returns>
    public Tensor Loss(Batch batch, ForwardContext context, CrossEntropySettings settings = default)
    {
        var hidden = Hidden(batch, context);
        if (context.IsTraining) AddLosses(hidden, batch, context, settings);
        var loss = Head.Loss(hidden, batch.Targets, context, settings);
        RequireWhole();
        return loss;
    }

    /// <summary>What the head says of a batch: of a head of tokens the logits of every place, [batch, length, vocabulary].</summary>
    /// <param name="batch">Its inputs are read; its targets are not.</param>
    /// <param name="context">Its positions are the batch's.</param>
    public Tensor Logits(Batch batch, ForwardContext context)
    {
        var logits = Head.Logits(Hidden(batch, context), context);
        RequireWhole();
        return logits;
    }

    /// <summary>Whether <see cref="Close"/> has been called.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>Says that the model is not to be used any more: its weights may be in a file that is being closed. Decoding sessions then
    /// refuse.</summary>
    public void Close() => IsClosed = true;

    /// <summary>Throws once the model is closed.</summary>
    /// <exception cref="ObjectDisposedException">It is.</exception>
    internal void RequireOpen() => ObjectDisposedException.ThrowIf(IsClosed, this);

    /// <summary>Throws where the model writes nothing.</summary>
    /// <exception cref="InvalidOperationException">It does not.</exception>
    internal void RequireGenerates()
    {
        if (!Generates) throw new InvalidOperationException($"this model generates no text: {WhatItIs}");
    }

    /// <summary>Backbone and head in words, such as "it is an encoder with a head of classes".</summary>
    public string WhatItIs =>
        $"it is {(ReadsSource ? "an encoder-decoder" : Backbone.Decoder is null ? "an encoder" : "a decoder")} with a head of "
        + Head.GetType().Name.Replace("Head", "", StringComparison.Ordinal).ToLowerInvariant();

    /// <summary>Reads the tokens of a step of decoding.</summary>
    /// <param name="tokens">I32 [1, tokens].</param>
    /// <param name="context">Has the step.</param>
    /// <param name="places">At which of the tokens logits are wanted.</param>
    /// <returns>[places, vocabulary].</returns>
    internal Tensor DecodeStep(Tensor tokens, ForwardContext context, ReadOnlySpan<int> places)
    {
        var hidden = Backbone.Decode(tokens, context);
        hidden = hidden.Reshape([hidden.Shape.Rows, hidden.Shape.Width]);
        if (places.Length < hidden.Shape[0])
            hidden = Op.Embedding(Tensor.From(places, [places.Length]), hidden); // else every token's, in order
        var logits = Head.Logits(hidden, context);
        RequireWhole();
        return logits;
    }

    /// <summary>Throws where a file that weights lie in was cut short: zeros were read instead.</summary>
    /// <exception cref="InvalidDataException">One was.</exception>
    private void RequireWhole()
    {
        var made = MappedMemory.Made;
        if (_mapped.Made != made)
            _mapped = (made, [.. this.Parameters().Select(own => own.Parameter.MappedIn).OfType<MappedMemory>().Distinct()]);
        foreach (var file in _mapped.Files) file.RequireWhole();
    }

    /// <summary>Has the caches remember what the encoder says of sources; only of a model that reads them.</summary>
    /// <param name="sources">Token ids.</param>
    /// <param name="sequences">The number of each one's sequence in the caches.</param>
    /// <param name="caches">Of this model.</param>
    internal void Remember(IReadOnlyList<int[]> sources, ReadOnlySpan<int> sequences, CacheSet caches) =>
        Backbone.Remember(sources, sequences, caches);

    /// <summary>Adds losses beside the head's to a context that trains.</summary>
    /// <param name="hidden">The hidden states of the batch.</param>
    /// <param name="batch">What to predict from what.</param>
    /// <param name="context">Takes the losses.</param>
    /// <param name="settings">Label smoothing and z loss.</param>
    protected virtual void AddLosses(Tensor hidden, Batch batch, ForwardContext context, CrossEntropySettings settings)
    {
    }

    /// <summary>The hidden states of a batch: [batch, length, width].</summary>
    protected Tensor Hidden(Batch batch, ForwardContext context) => Backbone.Forward(batch, context);

    private static bool IsInEncoder(string name) => name.StartsWith("encoder.", StringComparison.Ordinal);

    private int Longest(Func<string, bool> where) => Modules()
        .Where(module => where(module.Name)).Select(module => module.Module).OfType<PositionEncoding>()
        .Select(encoding => encoding.Positions).DefaultIfEmpty(int.MaxValue).Min();
}
