using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;

namespace Tessera.Training.Objectives;

/// <summary>What an objective is made for.</summary>
/// <param name="Model">What learns.</param>
/// <param name="Tokenizer">Turns texts into its tokens.</param>
/// <param name="Format">How it is prompted, and so how its texts are framed.</param>
public sealed record ObjectiveContext(SequenceModel Model, Tokenizer Tokenizer, PromptFormat Format)
{
    /// <summary>The id of a token that marks a place in a text.</summary>
    /// <exception cref="InvalidOperationException">The tokenizer has none that is written so.</exception>
    public int IdOf(string token) => Tokenizer.Find(token) ?? throw new InvalidOperationException($"the tokenizer has no token '{token}'");
}

/// <summary>What a model learns: which batches are made of examples, and which loss of a batch.</summary>
/// <param name="context">What it is made for.</param>
public abstract class Objective(ObjectiveContext context)
{
    /// <summary>What learns.</summary>
    public SequenceModel Model => Context.Model;

    /// <summary>Whether the model reads a pair's source as the beginning of a text and goes on with its target, so that it is to be
    /// prompted with sources.</summary>
    public virtual bool ReadsPairs => false;

    /// <summary>What the objective is made for.</summary>
    protected ObjectiveContext Context { get; } = context;

    /// <summary>Turns examples into token ids, ready to become batches.</summary>
    /// <param name="examples">The texts or pairs.</param>
    /// <param name="batches">The size of batches and the longest that their rows are to be; see <see cref="Dataset.Resize"/>.</param>
    /// <exception cref="InvalidDataException">Nothing is left, or examples of another kind are needed.</exception>
    public abstract Dataset Prepare(IReadOnlyList<Example> examples, BatchOptions batches);

    /// <summary>The loss of a batch, a scalar: the mean negative log-likelihood of its targets in nats unless said.</summary>
    /// <param name="batch">Made by a dataset of this objective.</param>
    /// <param name="context">Its positions are the batch's; parts add their own losses to it.</param>
    /// <param name="settings">Label smoothing.</param>
    public virtual Tensor Loss(Batch batch, ForwardContext context, CrossEntropySettings settings) => Model.Loss(batch, context, settings);
}
