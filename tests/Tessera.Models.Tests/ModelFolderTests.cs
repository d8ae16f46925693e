using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Models.Tests.Formats;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Tests;

public sealed class ModelFolderTests
{
    private static readonly BytePairTokenizer s_tokenizer = BytePairTrainer.Train(
        ["a text of few words, few words of a text"], new BytePairTrainerOptions(270, SpecialTokens: SpecialTokens.Texts));

    public static TheoryData<string> Models => [.. SmallModels.All.Keys];

    [Theory]
    [MemberData(nameof(Models))]
    public void A_model_comes_back_as_it_was_written(string name)
    {
        using var scope = Arena.Current.Scope();
        using var folder = new TemporaryFolder();
        var (config, model) = Write(folder, SmallModels.All[name]);
        var loaded = ModelFolder.Load(folder.Path);
        Assert.Equal(config, loaded.Config);
        Assert.Equal(s_tokenizer.Encode("few words"), loaded.Tokenizer.Encode("few words"));
        Assert.Equal(
            model.Parameters().Select(own => (own.Name, string.Join(' ', own.Parameter.Value.ToArray()))),
            loaded.Model.Parameters().Select(own => (own.Name, string.Join(' ', own.Parameter.Value.ToArray()))));
        var batch = SmallModels.Batch(model.ReadsSource ? [[4, 5]] : null, [[1, 9]], [[9, 2]]);
        Assert.Equal(SmallModels.Loss(model, batch), SmallModels.Loss(loaded.Model, batch));
    }

    [Fact]
    public void Missing_folders_and_files_are_named()
    {
        using var folder = new TemporaryFolder();
        var nowhere = folder.File("nowhere");
        Assert.Contains(
            nowhere, Assert.Throws<DirectoryNotFoundException>(() => ModelFolder.Load(nowhere)).Message, StringComparison.Ordinal);
        foreach (var file in new[] { ModelFolder.ConfigFile, ModelFolder.TokenizerFile, ModelFolder.WeightsFile })
        {
            Write(folder, SmallModels.All["decoder"]);
            File.Delete(folder.File(file));
            var error = Assert.Throws<FileNotFoundException>(() => ModelFolder.Load(folder.Path));
            Assert.Equal(folder.File(file), error.FileName);
            Assert.Contains($"there is no {file}", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_vocabulary_that_is_not_the_tokenizers_is_refused()
    {
        using var folder = new TemporaryFolder();
        Write(folder, SmallModels.All["decoder"]);
        Change(folder, text => text.Replace("\"vocabulary\": 270", "\"vocabulary\": 271", StringComparison.Ordinal));
        var error = Assert.Throws<InvalidDataException>(() => ModelFolder.Load(folder.Path));
        Assert.Equal($"{folder.File("config.json")}: vocabulary is 271, but tokenizer.json has 270 tokens", error.Message);
    }

    [Theory]
    [InlineData("\"heads\": 4", "\"heads\": 3", "model.decoder.attention.heads: is 3; allowed: a divisor of the width 8")]
    [InlineData("\"heads\": 4", "\"head\": 4", "model.decoder.attention.head: is not a key here; allowed: kind, heads, keyValueHeads")]
    [InlineData("\"kind\": \"decoder\"", "\"kind\": \"tree\"", "model.kind: is \"tree\"; allowed: encoder-decoder, decoder, encoder")]
    [InlineData(
        "\"width\": 8", "\"width\": 8,,",
        "config.json(40,16): is not valid JSON here: ',' is an invalid start of a property name. Expected a '\"'")]
    [InlineData("\"width\": 8", "\"width\": 16", "in the model")]
    public void Damaged_options_are_named_with_their_file(string old, string changed, params string[] parts)
    {
        using var folder = new TemporaryFolder();
        Write(folder, SmallModels.All["decoder"]);
        Change(folder, text =>
        {
            Assert.Contains(old, text, StringComparison.Ordinal);
            return text.Replace(old, changed, StringComparison.Ordinal);
        });
        var error = Assert.Throws<InvalidDataException>(() => ModelFolder.Load(folder.Path));
        Assert.StartsWith(folder.Path, error.Message, StringComparison.Ordinal);
        Assert.All(parts, part => Assert.True(error.Message.Contains(part, StringComparison.Ordinal), error.Message));
    }

    private static (ModelConfig Config, SequenceModel Model) Write(TemporaryFolder folder, ModelOptions options)
    {
        var config = new ModelConfig { Model = options, Vocabulary = s_tokenizer.VocabularySize, Length = 20, SourceLength = 10 };
        var model = options.Build(config.Vocabulary, 8);
        File.WriteAllText(folder.File(ModelFolder.ConfigFile), RecipeJson.Write(config));
        s_tokenizer.Save(folder.File(ModelFolder.TokenizerFile));
        Weights.Save(folder.File(ModelFolder.WeightsFile), model);
        return (config, model);
    }

    private static void Change(TemporaryFolder folder, Func<string, string> change) =>
        File.WriteAllText(folder.File(ModelFolder.ConfigFile), change(File.ReadAllText(folder.File(ModelFolder.ConfigFile))));
}
