using FsCheck;
using FsCheck.Fluent;
using Tessera.Models;
using Tessera.Text.Tokenizers;

namespace Tessera.Generation.Tests;

public sealed class LanguageModelTests
{
    private static readonly Tokenizer s_tokenizer = BytePairTrainer.Train(
        ["the cat 😀 naïve — 猫", "the dog 😀😀 über"], new BytePairTrainerOptions(290, SpecialTokens: SpecialTokens.Texts));

    [Fact]
    public void No_piece_holds_part_of_a_character()
    {
        const string Text = "a 👩‍💻 naïve 猫 — 😀!";
        var pieces = Pieces([.. System.Text.Encoding.UTF8.GetBytes(Text).Select(ByteToken)]);
        Assert.Equal(Text, string.Concat(pieces));
        Assert.DoesNotContain(pieces, piece => piece.Contains('\uFFFD', StringComparison.Ordinal));
        Assert.All(pieces.Where(piece => piece.Length > 0), piece =>
            Assert.False(char.IsLowSurrogate(piece[0]) || char.IsHighSurrogate(piece[^1]))
        );
        Assert.Contains("😀", pieces);

        static int ByteToken(byte value) => Enumerable.Range(3, 256).Single(id => s_tokenizer.TokenText(id) == Letter(value));
    }

    [Fact]
    public void The_pieces_of_any_tokens_join_to_their_text() =>
        Prop.ForAll(Gen.Choose(0, s_tokenizer.VocabularySize - 1).ArrayOf().ToArbitrary(), ids =>
            string.Concat(Pieces(ids)) == s_tokenizer.Decode(ids)).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stream_joins_to_the_text_that_is_generated_at_once(bool readsSource)
    {
        var language = Language(readsSource);
        foreach (
            DecodingOptions options in new DecodingOptions[]
            {
                new GreedyOptions(),
                new SamplingOptions(1.2f, Seed: 3),
                new SamplingOptions(Seed: 4) { MaxNewTokens = 25 },
            })
        {
            var pieces = new List<string>();
            await foreach (var piece in language.StreamAsync("the cat", options)) pieces.Add(piece);
            Assert.Equal(language.Generate("the cat", options), string.Concat(pieces));
        }
    }

    [Fact]
    public void No_more_tokens_come_than_allowed()
    {
        var language = Language(readsSource: true);
        var few = language.Generate(["the dog"], new SamplingOptions(Seed: 1) { MaxNewTokens = 4 })[0].Tokens;
        Assert.Equal((4, FinishReason.Length), (few.Ids.Count, few.FinishReason));
        Assert.Equal(16, language.Generate(["the dog"], new SamplingOptions(Seed: 1))[0].Tokens.Ids.Count); // what it was trained on
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n")]
    public void An_empty_prompt_is_told(string prompt) =>
        Assert.Equal("the prompt is empty", Assert.Throws<ArgumentException>(() => Language(readsSource: true).Generate(prompt)).Message);

    [Fact]
    public void An_empty_beginning_is_the_token_that_begins_texts()
    {
        var language = Language(readsSource: false);
        Assert.Equal([SpecialTokens.Begin], language.Encode(""));
        Assert.Equal([SpecialTokens.Begin, .. s_tokenizer.EncodeOrdinary("\n")], language.Encode("\n"));
        Assert.Equal(4, language.Generate([""], new GreedyOptions { MaxNewTokens = 4, MinNewTokens = 4 })[0].Tokens.Ids.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_prompt_longer_than_the_context_is_told_both_lengths(bool readsSource)
    {
        var language = Language(readsSource);
        language.PromptLimit = new PromptLimit(Context: 10);
        var longest = string.Concat(Enumerable.Repeat("~", 9)); // the end, or the beginning, is one more
        language.Generate(longest, new GreedyOptions { MaxNewTokens = 1 });
        Assert.Equal(
            "the prompt has 11 tokens; allowed: at most 10; --truncate start or --truncate end cuts it",
            Assert.Throws<ArgumentException>(() => language.Generate(longest + "~")).Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void No_prompts_give_no_texts(bool readsSource) => Assert.Empty(Language(readsSource).Generate([], new GreedyOptions()));

    [Fact]
    public void A_decoder_reads_as_many_tokens_as_it_has_positions_however_long_its_texts_were_in_training()
    {
        var (trained, converted) = (Language(readsSource: false), Language(readsSource: false, length: 4096));
        Assert.Equal(converted.LongestPrompt, trained.LongestPrompt);
        Assert.Equal(trained.Folder.Model.LongestSequence - 1, trained.LongestPrompt);
        Assert.Equal(51, trained.Encode(new string('~', 50)).Length);
    }

    [Theory]
    [InlineData(PromptEnd.Start)]
    [InlineData(PromptEnd.End)]
    public void What_is_cut_from_a_prompt_is_its_text_and_not_what_frames_it(PromptEnd cut)
    {
        int[] text = s_tokenizer.EncodeOrdinary("~}|{zyxwvutsrq");
        var (decoder, translator) = (Language(readsSource: false), Language(readsSource: true));
        decoder.PromptLimit = translator.PromptLimit = new PromptLimit(Context: 5, cut);
        int[] kept = cut == PromptEnd.Start ? text[^4..] : text[..4];
        Assert.Equal([SpecialTokens.Begin, .. kept], decoder.Encode("~}|{zyxwvutsrq"));
        Assert.Equal([.. kept, SpecialTokens.End], translator.Encode("~}|{zyxwvutsrq"));
    }

    [Fact]
    public void A_prompt_that_is_cut_without_a_context_leaves_half_of_the_positions_to_the_answer()
    {
        var decoder = Language(readsSource: false);
        decoder.PromptLimit = new PromptLimit(Truncate: PromptEnd.Start);
        var longest = decoder.LongestPrompt;
        Assert.Equal(longest, decoder.Encode(new string('~', longest - 1)).Length);
        Assert.Equal(longest / 2, decoder.Encode(new string('~', longest + 100)).Length);
    }

    private static LanguageModel Language(bool readsSource, int length = 16)
    {
        var model = TinyModel.Build(readsSource, s_tokenizer.VocabularySize, seed: 6);
        var config = new ModelConfig { Model = null!, Vocabulary = s_tokenizer.VocabularySize, Length = length, SourceLength = 10 };
        return new LanguageModel(new ModelFolder(config, s_tokenizer, model));
    }

    private static List<string> Pieces(int[] ids)
    {
        var decoder = new IncrementalDetokenizer(s_tokenizer);
        return [.. ids.Select(decoder.Add), decoder.Finish()];
    }

    /// <summary>How GPT-2's alphabet of bytes writes a byte: printable Latin-1 as itself, the rest from U+0100 up in order.</summary>
    private static string Letter(byte value)
    {
        static bool IsPrintable(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE;
        return $"{(char)(IsPrintable(value) ? value : 0x100 + Enumerable.Range(0, value).Count(b => !IsPrintable(b)))}";
    }
}
