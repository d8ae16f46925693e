using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>Tokenizers as llama.cpp has them, and back.</summary>
public class GgmlVocabularyTests
{
    [SharedFact("fixtures/tokenizers/deepseek3")]
    public void A_vocabulary_gives_the_ids_of_the_tokenizer_it_was_made_of()
    {
        foreach (
            var (name, pre) in ((string, string)[])
                [("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("deepseek3", "deepseek-v3"), ("llama2", "default")])
        {
            var tokenizer = TokenizerFixtures.Load(name);
            var vocabulary = GgmlVocabulary.Of(tokenizer);
            Assert.Equal(pre, vocabulary.PreTokenizer);
            var again = vocabulary.ToTokenizer(name);
            foreach (var (text, _, _) in TokenizerFixtures.Cases(name))
                Assert.True(tokenizer.EncodeOrdinary(text).AsSpan().SequenceEqual(again.EncodeOrdinary(text)), $"{name}: '{text}'");
        }
    }

    [Theory]
    [InlineData("gpt-oss", "gpt-4o")]
    [InlineData("tekken", "tekken")]
    [InlineData("glm-4", "llama-bpe")]
    [InlineData("smollm3", "llama-bpe")]
    [InlineData("starcoder2", "starcoder")]
    [InlineData("cohere", "starcoder")]
    [InlineData("gpt-neox", "gpt-2")]
    [InlineData("gemma", "default")]
    [InlineData("phi-3", "default")]
    public void Vocabularies_of_published_families_give_the_same_ids_by_the_pre_tokenizer_of_llama_cpp(string kind, string pre)
    {
        var tokenizer = Tokenizer.Load(Fixture.Local($"kinds/{kind}/tokenizer.json"));
        var vocabulary = GgmlVocabulary.Of(tokenizer);
        Assert.Equal(pre, vocabulary.PreTokenizer);
        var again = vocabulary.ToTokenizer(kind);
        string[] texts = ["Hello worldWide 12345 + 'S HTTPServer's\n\n x", "你好 ПРИВЕТ  мир½ 𝕳ello", "<|im_start|>a<eos>"];
        foreach (var text in texts)
            Assert.Equal(tokenizer.EncodeOrdinary(text), again.EncodeOrdinary(text));
        Assert.Equal(tokenizer.EncodeSequence("a")[0] == tokenizer.BeginId, again.EncodeSequence("a")[0] == again.BeginId);
    }

    [SharedFact("fixtures/tokenizers/qwen2")]
    public void The_pre_tokenizer_is_found_by_its_patterns_or_named()
    {
        // NFC, which Qwen's file asks for, is not llama.cpp's.
        Assert.Equal("qwen2", GgmlVocabulary.Of(TokenizerFixtures.Load("qwen2")).PreTokenizer);
        var odd = BytePairTrainer.Train(["a b c"], new BytePairTrainerOptions(
            260, PreTokenizer: new PreTokenizerSequence(new SplitPreTokenizer("[a-c]+"), new ByteLevelPreTokenizer(usePattern: false))));
        var error = Assert.Throws<ArgumentException>(() => GgmlVocabulary.Of(odd));
        Assert.StartsWith(
            "llama.cpp has no pre-tokenizer that cuts texts as this tokenizer does; name the nearest of default, gpt-2, ", error.Message,
            StringComparison.Ordinal);
        Assert.Equal("gpt-2", GgmlVocabulary.Of(odd, "gpt-2").PreTokenizer);
        Assert.Throws<ArgumentException>(() => GgmlVocabulary.Of(odd, "gpt-3"));
    }

    [Fact]
    public void A_trained_tokenizer_keeps_its_special_tokens_and_gets_unused_ones_for_more_rows()
    {
        var tokenizer = BytePairTrainer.Train(["the cat and the other cat"], new BytePairTrainerOptions(270));
        var vocabulary = GgmlVocabulary.Of(tokenizer).PaddedTo(272);
        Assert.Equal(("gpt2", "gpt-2", 272), (vocabulary.Model, vocabulary.PreTokenizer, vocabulary.Tokens.Count));
        Assert.Equal([3, 3, 3, 1], vocabulary.TokenTypes.Take(4)); // control: <pad>, <s>, </s>
        Assert.Equal(["[PAD270]", "[PAD271]"], vocabulary.Tokens.Skip(270));
        Assert.Equal((0, 1, 2), (vocabulary.PaddingId, vocabulary.BeginId, vocabulary.EndId));
        Assert.Equal(tokenizer.Encode("the cat</s>"), vocabulary.ToTokenizer("padded").Encode("the cat</s>"));
        Assert.Throws<ArgumentOutOfRangeException>(() => vocabulary.PaddedTo(10));
    }
}
