using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>What a model learns from in one step: temporaries of the current arena scope.</summary>
public sealed class Batch : Recycled
{
    /// <summary>I32 [batch, length]: the tokens that the decoder reads.</summary>
    public required Tensor Inputs { get => Live(field); set; }

    /// <summary>I32 [batch, length]: the token to predict at each place; −1 where nothing is to be predicted. Other heads than that of
    /// tokens say themselves what theirs are.</summary>
    public required Tensor Targets { get => Live(field); set; }

    /// <summary>I32 [batch, length]: the position of each input token in its sequence.</summary>
    public required Tensor Positions { get => Live(field); set; }

    /// <summary>I32 [batch, length]: which of several packed sequences each input belongs to; null: one a row.</summary>
    public Tensor? Segments { get => Live(field); set; }

    /// <summary>I32 [batch]: how many of a row's inputs are real, where rows are padded at the end and the padding is to be seen by nobody;
    /// null: all.</summary>
    public Tensor? Lengths { get => Live(field); set; }

    /// <summary>I32 [batch, length]: the type of each input token, for encoders that know several; null: 0.</summary>
    public Tensor? TokenTypes { get => Live(field); set; }

    /// <summary>I32 [batch, source length]: the tokens that an encoder reads; null where there is no source.</summary>
    public Tensor? Source { get => Live(field); set; }

    /// <summary>I32 [batch]: the real length of each source.</summary>
    public Tensor? SourceLengths { get => Live(field); set; }

    /// <summary>How many tokens are to be predicted.</summary>
    public required int TargetTokens { get => Live(field); set; }

    /// <summary>How many real tokens there are, source and target.</summary>
    public required int Tokens { get => Live(field); set; }

    /// <summary>A batch of the arena's current scope; <c>new Batch</c> gives one that may be kept.</summary>
    /// <param name="inputs">See <see cref="Inputs"/>.</param>
    /// <param name="targets">See <see cref="Targets"/>.</param>
    /// <param name="positions">See <see cref="Positions"/>.</param>
    public static Batch Of(Tensor inputs, Tensor targets, Tensor positions)
    {
        var batch = Arena.Current.Lend(
            static () => new Batch { Inputs = null!, Targets = null!, Positions = null!, TargetTokens = 0, Tokens = 0 });
        (batch.Inputs, batch.Targets, batch.Positions) = (inputs, targets, positions);
        return batch;
    }

    /// <summary>What a forward pass over the batch needs besides its inputs; made once and handed down.</summary>
    public ForwardContext Context()
    {
        var context = ForwardContext.At(Positions);
        (context.Segments, context.Lengths) = (Segments, Lengths);
        return context;
    }

    /// <summary>I32 [rows, length] counting up from 0 in each row.</summary>
    public static Tensor PositionsFromStart(int rows, int length)
    {
        var positions = Tensor.Temporary([rows, length], ElementType.I32);
        var values = positions.Ints;
        for (var i = 0; i < values.Length; i++) values[i] = i % length;
        return positions;
    }

    /// <summary>I32 [rows, length] counting up from a start in each row.</summary>
    public static Tensor PositionsFrom(ReadOnlySpan<int> starts, int length)
    {
        var positions = Tensor.Temporary([starts.Length, length], ElementType.I32);
        var values = positions.Ints;
        for (var i = 0; i < values.Length; i++) values[i] = starts[i / length] + (i % length);
        return positions;
    }

    /// <inheritdoc/>
    protected override void Forget()
    {
        (Inputs, Targets, Positions, Segments, Source, SourceLengths) = (null!, null!, null!, null, null, null);
        (Lengths, TokenTypes, TargetTokens, Tokens) = (null, null, 0, 0);
    }
}
