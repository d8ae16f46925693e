using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

public class TokenizerAgreementTests
{
    [Fact]
    public void Gpt2_gives_the_ids_and_texts_of_the_reference() => AgreesOnAllCases("gpt2");

    [SharedFact("fixtures/tokenizers/roberta")]
    public void A_prefix_space_and_a_mask_that_takes_blanks_give_the_ids_of_the_reference()
    {
        AgreesOnAllCases("roberta");
        AgreesWithoutSpecialTokens("roberta");
    }

    [SharedFact("fixtures/tokenizers/llama3")]
    public void Whole_words_before_merges_and_a_template_give_the_ids_of_the_reference()
    {
        AgreesOnAllCases("llama3");
        AgreesWithoutSpecialTokens("llama3");
    }

    [SharedFact("fixtures/tokenizers/qwen2")]
    public void Composed_characters_and_single_digits_give_the_ids_of_the_reference()
    {
        AgreesOnAllCases("qwen2");
        AgreesWithoutSpecialTokens("qwen2");
    }

    [SharedFact("fixtures/tokenizers/deepseek3")]
    public void Three_splits_in_sequence_give_the_ids_of_the_reference()
    {
        AgreesOnAllCases("deepseek3");
        AgreesWithoutSpecialTokens("deepseek3");
    }

    [SharedFact("fixtures/tokenizers/added-tokens")]
    public void Added_tokens_are_found_as_the_reference_finds_them() => AgreesOnAllCases("added-tokens");

    [SharedFact("fixtures/tokenizers/qwen2")]
    public void Text_is_normalized_as_the_reference_does()
    {
        var rows = TokenizerFixtures.Info("qwen2", "normalized").EnumerateArray().ToArray();
        Assert.NotEmpty(rows);
        foreach (var row in rows) Assert.Equal(row[1].GetString(), new NfcNormalizer().Normalize(row[0].GetString()!));
    }

    [SharedFact("fixtures/tokenizers/deepseek3")]
    public void A_tokenizer_written_and_read_again_gives_the_same_ids()
    {
        foreach (var name in (string[])["gpt2", "roberta", "llama3", "qwen2", "deepseek3", "added-tokens"])
        {
            using var folder = new TemporaryFolder();
            TokenizerFixtures.Load(name).Save(folder.Path);
            AgreesOnAllCases(name, Tokenizer.Load(folder.Path));
            SameMembers(Path.Combine(TokenizerFixtures.Folder(name), "tokenizer.json"), folder.File("tokenizer.json"));
        }
    }

    /// <summary>The model, the added tokens and the post-processor are written as they were read.</summary>
    private static void SameMembers(string one, string other)
    {
        using var expected = JsonDocument.Parse(File.ReadAllBytes(one));
        using var actual = JsonDocument.Parse(File.ReadAllBytes(other));
        foreach (var key in (string[])["added_tokens", "normalizer", "post_processor", "model"])
        {
            var (before, after) = (expected.RootElement.GetProperty(key), actual.RootElement.GetProperty(key));
            Assert.True(JsonElement.DeepEquals(before, after), $"{one}: {key}");
        }
    }

    private static void AgreesOnAllCases(string name, Tokenizer? loaded = null)
    {
        var tokenizer = loaded ?? TokenizerFixtures.Load(name);
        Assert.Equal(TokenizerFixtures.Info(name, "vocab").GetInt32(), tokenizer.VocabularySize);
        var count = 0;
        foreach (var (text, ids, decoded) in TokenizerFixtures.Cases(name))
        {
            var given = tokenizer.EncodeSequence(text);
            Assert.True(
                ids.AsSpan().SequenceEqual(given),
                $"{name}: {JsonSerializer.Serialize(text)}: not {string.Join(' ', ids)} but {string.Join(' ', given)}");
            Assert.Equal(decoded, tokenizer.Decode(ids));
            count++;
        }

        Assert.Equal(TokenizerFixtures.Info(name, "cases").GetInt32(), count);
    }

    private static void AgreesWithoutSpecialTokens(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        foreach (var row in TokenizerFixtures.Info(name, "without_special_tokens").EnumerateArray())
            Assert.Equal(TokenizerFixtures.Ids(row), tokenizer.Encode(row.GetProperty("text").GetString()!));
    }
}
