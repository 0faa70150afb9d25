using System.Text;
using System.Xml.Linq;
using Nephos.ObjectStorage.S3;

namespace Nephos.Fuzzing.Targets;

/// <summary>The documents of S3: the parser, and what each kind makes of it.</summary>
internal sealed class XmlTarget : FuzzTarget
{
    private static readonly Action<XElement>[] Readers =
    [
        xml => S3Tags.OfObject(xml),
        xml => S3Acl.FromXml(xml, "p"),
        xml => S3Cors.Read(xml),
        xml => S3Lifecycle.Read(xml).ForEach(rule => _ = rule.ToXml()),
        xml => S3Deletes.Read(xml),
        xml => S3Multipart.ReadParts(xml),
    ];

    public override string Name => "xml";

    public override string About => "XML documents of S3: tags, ACLs, CORS, lifecycles, batch deletes, completions";

    public override int BytesMax => 64 * 1024;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf(
        "<!DOCTYPE x [<!ENTITY a \"b\">]>", "&a;", "&#0;", "&lt;", "<![CDATA[", "]]>", "<?xml version=\"1.0\"?>", "<!--", "-->", "<Tag><Key>k</Key><Value>v</Value></Tag>", "</", "/>", "xmlns=\"x\"",
        "<Rule>", "</Rule>", "<Days>1</Days>", "<Filter>", "<And>", "<Object><Key>k</Key></Object>", "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>", "<Grantee xsi:type=\"Group\">", "xsi:type");

    public override byte[] Make(Random random) => Encoding.UTF8.GetBytes(random.Next(6) switch
    {
        0 => $"<Tagging><TagSet>{Many(random, "<Tag><Key>k{0}</Key><Value>v</Value></Tag>")}</TagSet></Tagging>",
        1 => "<AccessControlPolicy><Owner><ID>p</ID></Owner><AccessControlList>" + Many(random,
            "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID>u{0}</ID></Grantee><Permission>READ</Permission></Grant>") + "</AccessControlList></AccessControlPolicy>",
        2 => "<CORSConfiguration>" + Many(random,
            "<CORSRule><AllowedOrigin>http://*.a{0}</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader><MaxAgeSeconds>{0}</MaxAgeSeconds></CORSRule>") + "</CORSConfiguration>",
        3 => "<LifecycleConfiguration>" + Many(random,
            "<Rule><ID>r{0}</ID><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeLessThan>{0}9</ObjectSizeLessThan></And></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>") + "</LifecycleConfiguration>",
        4 => $"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>{Many(random, "<Object><Key>k&amp;{0}</Key><VersionId>null</VersionId><ETag>e</ETag><Size>{0}</Size></Object>")}</Delete>",
        _ => $"<CompleteMultipartUpload>{Many(random, "<Part><PartNumber>{0}</PartNumber><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag></Part>")}</CompleteMultipartUpload>",
    });

    public override void Run(byte[] input)
    {
        XElement xml;
        try
        {
            xml = S3Call.ParseXml(input);
        }
        catch (S3Fault)
        {
            return;
        }
        foreach (var reader in Readers)
        {
            try
            {
                reader(xml);
            }
            catch (S3Fault)
            {
            }
        }
    }

    private static string Many(Random random, string format) =>
        string.Concat(Enumerable.Range(1, random.Next(1, 4)).Select(number => string.Format(System.Globalization.CultureInfo.InvariantCulture, format, number)));
}
