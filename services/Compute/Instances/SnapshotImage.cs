namespace Nephos.Compute.Instances;

/// <summary>Images that are made of root disks.</summary>
internal static class SnapshotImage
{
    /// <summary>Types of images that are made of instances.</summary>
    public const string Snapshot = "snapshot";

    public const string Backup = "backup";

    private const int NameCharsMax = 255;
    private const string ShelvedSuffix = "-shelved";

    /// <summary>What the image of a shelved instance is called.</summary>
    public static string ShelvedName(Instance instance) =>
        (instance.Name.Length + ShelvedSuffix.Length <= NameCharsMax ? instance.Name : instance.Name[..(NameCharsMax - ShelvedSuffix.Length)]) + ShelvedSuffix;

    /// <param name="instance">Whose disk it is.</param>
    /// <param name="type"><see cref="Snapshot"/> or <see cref="Backup"/>.</param>
    /// <param name="userId">Who asked for it.</param>
    public static Dictionary<string, string> PropertiesOf(Instance instance, string type, string userId)
    {
        var properties = new Dictionary<string, string>(instance.ImageProperties, StringComparer.Ordinal)
        {
            ["image_type"] = type,
            ["instance_uuid"] = instance.Id,
            ["user_id"] = userId,
        };
        if (instance.ImageId is { } baseId)
        {
            properties["base_image_ref"] = baseId;
        }
        return properties;
    }
}
