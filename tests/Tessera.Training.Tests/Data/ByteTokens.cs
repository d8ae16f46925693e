using Tessera.Models;
using Tessera.Text.Tokenizers;

namespace Tessera.Training.Tests.Data;

/// <summary>A tokenizer without merges: a token a byte, so that a test can count.</summary>
internal static class ByteTokens
{
    public static Tokenizer Tokenizer { get; } =
        BytePairTrainer.Train(["a"], new BytePairTrainerOptions(260, SpecialTokens: SpecialTokens.Texts));

    /// <summary>The ids of a text.</summary>
    public static int[] Of(string text) => Tokenizer.EncodeOrdinary(text);
}
