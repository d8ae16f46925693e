using Tessera.Models.Conversion;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>
/// Loading and saving of a <see cref="ModelFolder"/>: <c>ModelFolder.Load("runs/mine")</c>, <c>model.Save("mine")</c>. They stand beside
/// it, since they know every format, and the formats know the model alone.
/// </summary>
public static class ModelFolders
{
    extension(ModelFolder model)
    {
        /// <summary>Loads a model, or adapters as PEFT saves them with the model they were trained on; of its weights the
        /// header is read, the rest when it is touched, or first of all where there is a hash to check.</summary>
        /// <param name="folder">The folder, or a GGUF file.</param>
        /// <param name="asStored">Whether weights stay in the type they are stored in, for models that are only run; else they become
        /// F32.</param>
        /// <param name="check">Whether weights that have a <see cref="ModelConfig.WeightsHash"/> are read whole, to see that they are those
        /// that were written; without it opening costs the header of any model.</param>
        /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
        /// <exception cref="FileNotFoundException">The folder holds no finished model.</exception>
        /// <exception cref="InvalidDataException">A file is damaged or they do not belong together.</exception>
        public static ModelFolder Load(string folder, bool asStored = false, bool check = true) =>
            ModelLoader.Load(folder, asStored, check);

        /// <summary>Gives a model the adapters of a folder of PEFT's, whatever base that names: the model is to be the one they were
        /// trained on, in any format. <see cref="LoraAdapters.IsActive"/> switches them off and on.</summary>
        /// <param name="folder">The adapter's folder.</param>
        /// <returns>The same model, in which the adapters act.</returns>
        /// <exception cref="FileNotFoundException">The folder holds no adapter.</exception>
        /// <exception cref="InvalidDataException">The model has adapters already, or these do not fit it.</exception>
        public ModelFolder Adapt(string folder) => ModelLoader.Adapt(model, folder);

        /// <summary>Writes the model with the weights it has now to another folder, beside what describes it and the files about its texts,
        /// or to a GGUF file. Adapters are not written (<see cref="LoraAdapters.Merge"/>).</summary>
        /// <param name="target">The folder; made where it is missing; or a file whose name ends in <c>.gguf</c>. It appears, or takes the
        /// place of the model that is there, when it is whole.</param>
        /// <param name="type">The type of matrices; F32 unless said.</param>
        /// <exception cref="InvalidDataException">The model was not loaded.</exception>
        /// <exception cref="RecipeException">The model has parts that its family, or any, cannot say.</exception>
        /// <exception cref="ArgumentException">The target's format cannot say the model, or has no such type.</exception>
        /// <exception cref="IOException">The target is the model's own, or a file cannot be written.</exception>
        public ConversionResult Save(string target, ElementType type = ElementType.F32) => ModelConversion.Save(model, target, type);
    }
}
