using Tessera.Models.Recipes;
using Tessera.Text.Templates;

namespace Tessera.Models;

/// <summary>What training adds to what a model's folder says of its prompts: <c>prompt.json</c> of models that learned pairs, and
/// <c>chat_template.jinja</c>, the name by which Hugging Face knows it, of those that learned conversations.</summary>
public static class PromptFiles
{
    /// <summary>The name of the file that says what lies between a source and its target.</summary>
    public const string PairsFile = "prompt.json";

    /// <summary>The name of the file with a chat template.</summary>
    public const string TemplateFile = "chat_template.jinja";

    /// <summary>Writes what a model was trained with; a <see cref="PairsFile"/> that another model left in
    /// the folder is removed.</summary>
    /// <param name="folder">The model's folder, whole but for these files.</param>
    /// <param name="format">How it is prompted.</param>
    /// <param name="chats">Whether it learned conversations.</param>
    public static void Write(string folder, PromptFormat format, bool chats)
    {
        var pairs = Path.Combine(folder, PairsFile);
        if (format.ReadsPairs) File.WriteAllText(pairs, RecipeJson.Write(new Pairs(format.Separator)) + "\n");
        else File.Delete(pairs);
        if (chats && format.ChatTemplate is { } template) File.WriteAllText(Path.Combine(folder, TemplateFile), template.Source);
    }

    /// <summary>A model with what a folder's files add to its format.</summary>
    /// <param name="folder">Its own, or that of adapters.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static ModelFolder Read(string folder, ModelFolder model)
    {
        var (format, pairs, template) = (model.PromptFormat, Path.Combine(folder, PairsFile), Path.Combine(folder, TemplateFile));
        if (File.Exists(pairs)) format = format with { ReadsPairs = true, Separator = Separator(pairs) };
        if (File.Exists(template) && model.HasTokenizer && (model.Family is null || model.Adapters is not null))
            format = format.WithChatTemplate(Template(template), model.Tokenizer);
        return model with { PromptFormat = format };
    }

    private static string Separator(string path)
    {
        try
        {
            return RecipeJson.ReadFile<Pairs>(path).Separator;
        }
        catch (Nn.RecipeException error)
        {
            throw new InvalidDataException($"{path}: {error.Message}", error);
        }
    }

    private static ChatTemplate Template(string path)
    {
        try
        {
            return ChatTemplate.Parse(File.ReadAllText(path));
        }
        catch (TemplateException error)
        {
            throw new InvalidDataException($"{path}: the chat template cannot be read: {error.Message}", error);
        }
    }

    private sealed record Pairs(string Separator);
}
