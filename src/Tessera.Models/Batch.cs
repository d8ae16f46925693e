using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>What a model learns from in one step: temporaries of the current arena scope.</summary>
public sealed class Batch
{
    /// <summary>I32 [batch, length]: the tokens that the decoder reads.</summary>
    public required Tensor Inputs { get; init; }

    /// <summary>I32 [batch, length]: the token to predict at each place; −1 where nothing is to be predicted.</summary>
    public required Tensor Targets { get; init; }

    /// <summary>I32 [batch, length]: the position of each input token in its sequence.</summary>
    public required Tensor Positions { get; init; }

    /// <summary>I32 [batch, length]: which of several packed sequences each input belongs to; null: one a row.</summary>
    public Tensor? Segments { get; init; }

    /// <summary>I32 [batch, source length]: the tokens that an encoder reads; null where there is no source.</summary>
    public Tensor? Source { get; init; }

    /// <summary>I32 [batch]: the real length of each source.</summary>
    public Tensor? SourceLengths { get; init; }

    /// <summary>How many tokens are to be predicted.</summary>
    public required int TargetTokens { get; init; }

    /// <summary>How many real tokens there are, source and target.</summary>
    public required int Tokens { get; init; }

    /// <summary>I32 [rows, length] counting up from 0 in each row.</summary>
    public static Tensor PositionsFrom(ReadOnlySpan<int> starts, int length)
    {
        var positions = Tensor.Temporary([starts.Length, length], ElementType.I32);
        for (var i = 0; i < positions.Ints.Length; i++) positions.Ints[i] = starts[i / length] + (i % length);
        return positions;
    }
}
