namespace Nephos.Compute.Instances;

/// <summary>A wish for an image of the root disk, from being asked for until the image has its content or cannot have it.</summary>
/// <param name="VolumeId">Of the root disk.</param>
/// <param name="Properties">Of the image.</param>
/// <param name="Rotation">The series that the image is one of; null: none.</param>
/// <param name="Begun">Block storage knows of it; until then there may be no image of that id.</param>
internal sealed record ImageSave(
    string ImageId, string VolumeId, string Name, IReadOnlyDictionary<string, string> Properties, ImageRotation? Rotation, DateTimeOffset AskedAt, bool Begun);

/// <summary>A series of images of one instance, of which the newest are kept.</summary>
/// <param name="Type">Names the series: daily, weekly.</param>
/// <param name="Kept">How many.</param>
internal sealed record ImageRotation(string Type, int Kept);
